// SPDX-License-Identifier: MIT

package main

import "fmt"

// The jobs of a case.
const (
	jobReceive = "receive" // a peer floods; how many arrive, at which price
	jobSend    = "send"    // a peer swallows; how many leave, at which price
	jobEcho    = "echo"    // a peer keeps echoWindow batches on their way
	jobPing    = "ping"    // a peer has one batch on its way: the time of a round trip
	jobMicro   = "micro"   // single calls, without a network

	jobStages     = "stages"     // what a datagram costs where, by AF_XDP
	jobClassifier = "classifier" // what the XDP program costs
)

const (
	linkVeth = "veth" // a pair between two namespaces, MTU 1500
	linkLo   = "lo"   // loopback in one namespace
	linkXDP  = "xdp"  // a pair between two namespaces, by AF_XDP on both ends
)

// A benchCase is one line of the table.
type benchCase struct {
	job     string
	link    string
	payload int // bytes of a datagram
	batch   int // datagrams in a batch
	variant     // who does it, by AF_XDP

	stages string // the job of a program that takes it apart, in place of job
	counts bool   // system calls are counted, which makes them slower
}

func (c benchCase) name() string {
	switch {
	case c.link == "":
		return c.job
	case c.link == linkXDP:
		return fmt.Sprintf("%s/%s/%d/%d/%s", c.job, c.link, c.payload, c.batch, c.variant.name)
	}
	return fmt.Sprintf("%s/%s/%d/%d", c.job, c.link, c.payload, c.batch)
}

// cases lists all there are, in the order of the table.
func cases() []benchCase {
	all := kernelCases()
	all = append(all, benchCase{job: jobMicro})
	for _, job := range xdpJobs {
		for _, v := range variantsOf(job) {
			all = append(all, benchCase{job: job, link: linkXDP, payload: 1280, batch: 32, variant: v})
		}
	}
	return append(all, benchCase{job: jobStages}, benchCase{job: jobClassifier})
}

// xdpJobs are those that are done by AF_XDP too.
var xdpJobs = []string{jobReceive, jobSend, jobEcho}

// kernelCases are those of the kernel's sockets.
func kernelCases() (all []benchCase) {
	for _, job := range []string{jobReceive, jobSend, jobEcho, jobPing} {
		for _, link := range []string{linkVeth, linkLo} {
			for _, payload := range []int{64, 1280} {
				for _, batch := range []int{1, 32} {
					all = append(all, benchCase{job: job, link: link, payload: payload, batch: batch})
				}
			}
		}
	}
	return all
}

// selected lists the cases that the options ask for. A quick run leaves out loopback.
func selected(o *options) []benchCase {
	var list []benchCase
	for _, c := range cases() {
		if o.filter.MatchString(c.name()) && !(o.quick && c.link == linkLo) {
			list = append(list, c)
		}
	}
	return list
}
