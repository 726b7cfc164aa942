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
)

const (
	linkVeth = "veth" // a pair between two namespaces, MTU 1500
	linkLo   = "lo"   // loopback in one namespace
)

// A benchCase is one line of the table.
type benchCase struct {
	job     string
	link    string
	payload int // bytes of a datagram
	batch   int // datagrams in a batch
}

func (c benchCase) name() string {
	if c.job == jobMicro {
		return c.job
	}
	return fmt.Sprintf("%s/%s/%d/%d", c.job, c.link, c.payload, c.batch)
}

// cases lists all there are, in the order of the table.
func cases() []benchCase {
	var all []benchCase
	for _, job := range []string{jobReceive, jobSend, jobEcho, jobPing} {
		for _, link := range []string{linkVeth, linkLo} {
			for _, payload := range []int{64, 1280} {
				for _, batch := range []int{1, 32} {
					all = append(all, benchCase{job, link, payload, batch})
				}
			}
		}
	}
	return append(all, benchCase{job: jobMicro})
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
