// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"strconv"

	"github.com/msquicxdp/msquicxdp/datapath/xdp"
)

// xdpPort is what a server is asked to have, if it can be asked; it says what it has.
const xdpPort = 4433

// xdpArgs names what a program needs on an end of the AF_XDP link: 0 is the subject's.
func (b *bench) xdpArgs(c benchCase, i int, job string, more ...string) []string {
	e := [2]end{{b.xdp.left, addrSubject, b.subjectCPU}, {b.xdp.right, addrPeer, b.peerCPU}}
	args := b.args(c, e[i], job, "remote="+e[1-i].addr,
		"interface="+strconv.Itoa(b.xdp.ifindex[i]), "peer_mac="+b.xdp.mac[1-i].String())
	return append(args, more...)
}

// startAll starts the processes of a variant, each with `first` and its own arguments, and
// returns when all are ready, and the port of the last.
func (b *bench) startAll(ctx context.Context, c benchCase, more ...string) (all []*process, port int, err error) {
	port = xdpPort
	for i := range c.variant.processes {
		args := b.xdpArgs(c, 0, c.subjectJob(), append(c.variant.identified(i), more...)...)
		if c.job != jobSend {
			args = append(args, "port="+strconv.Itoa(port))
		}
		env := []string{xdp.TransmitEnv + "=" + c.variant.transmit}
		p, err := startWith(ctx, env, b.xdp.left, b.o.dir, c.variant.program, args...)
		if err != nil {
			return all, 0, err
		}
		all = append(all, p)
		if port, err = p.ready(); err != nil {
			return all, 0, err
		}
	}
	return all, port, nil
}

func killAll(all []*process) {
	for _, p := range all {
		p.kill()
	}
}

// results adds up what processes did at the same time.
func results(all []*process) (sum result, err error) {
	for _, p := range all {
		r, err := p.result()
		if err != nil {
			return sum, err
		}
		sum.add(r)
	}
	sum.WallNs /= float64(len(all)) // they measured for as long, side by side
	return sum, nil
}

func (b *bench) runXDP(ctx context.Context, c benchCase) (outcome, error) {
	var more []string
	if c.counts {
		more = []string{"count=1"}
	}
	if c.job == jobSend {
		return b.runXDPSend(ctx, c, more...)
	}
	return b.runXDPServer(ctx, c, more...)
}

// subjectJob is what the subject's program calls its job.
func (c benchCase) subjectJob() string {
	if c.stages != "" {
		return c.stages
	}
	return c.job
}

// runXDPSend lets all senders open first, and begin at the same time.
func (b *bench) runXDPSend(ctx context.Context, c benchCase, more ...string) (r outcome, err error) {
	sink, err := start(ctx, b.xdp.right, b.o.dir, plainLoop.program, b.xdpArgs(c, 1, "sink", untilStopped)...)
	if err != nil {
		return r, err
	}
	defer sink.kill()
	port, err := sink.ready()
	if err != nil {
		return r, err
	}
	more = append(append(b.timed(), more...), "port="+strconv.Itoa(port), "hold=1")
	all, _, err := b.startAll(ctx, c, more...)
	defer killAll(all)
	if err != nil {
		return r, err
	}
	for _, p := range all {
		p.release()
	}
	if r.subject, err = results(all); err != nil {
		return r, err
	}
	sink.stop()
	r.peer, err = sink.result()
	if r.peer.Datagrams > 0 { // only who receives can tell
		r.subject.ByKernel = r.subject.Datagrams * r.peer.ByKernel / r.peer.Datagrams
	}
	return r, err
}

// runXDPServer starts the servers first. Receivers are measured for their time; echo servers
// are asked by a peer that has the clock.
func (b *bench) runXDPServer(ctx context.Context, c benchCase, more ...string) (r outcome, err error) {
	asked, serverTime, peerTime := "flood", b.timed(), []string{untilStopped}
	if c.job == jobEcho {
		asked, serverTime, peerTime = "ping", append(b.timed()[:1], untilStopped), b.timed()
	}
	all, port, err := b.startAll(ctx, c, append(serverTime, more...)...)
	defer killAll(all)
	if err != nil {
		return r, err
	}
	b.xdp.thread(b.subjectCPU)
	peerTime = append(peerTime, "port="+strconv.Itoa(port), "window="+strconv.Itoa(echoWindow), "members="+strconv.Itoa(c.variant.members()))
	peer, err := start(ctx, b.xdp.right, b.o.dir, plainLoop.program, b.xdpArgs(c, 1, asked, peerTime...)...)
	if err != nil {
		return r, err
	}
	defer peer.kill()
	if c.job == jobEcho {
		if r.peer, err = peer.result(); err != nil {
			return r, err
		}
		for _, p := range all {
			p.stop()
		}
		r.subject, err = results(all)
		return r, err
	}
	if r.subject, err = results(all); err != nil {
		return r, err
	}
	peer.stop()
	r.peer, err = peer.result()
	return r, err
}
