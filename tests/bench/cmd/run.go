// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"strconv"
	"time"
)

// The sides of a case, and their programs.
const (
	sideOurs  = "ours"
	sidePlain = "plain"
)

var programOf = map[string]string{sideOurs: "bench_ours", sidePlain: "bench_plain"}

// echoWindow is how many batches an echo case keeps on their way: enough that
// neither side waits for a wake-up of the other, and less than a socket buffers.
const echoWindow = 8

// args names what the programs of ../prog want to know (options.h).
func (b *bench) args(c benchCase, e end, job string, more ...string) []string {
	args := []string{job, "local=" + e.addr, "cpu=" + strconv.Itoa(e.cpu)}
	if c.job != jobMicro {
		args = append(args, "size="+strconv.Itoa(c.payload), "batch="+strconv.Itoa(c.batch))
	}
	return append(args, more...)
}

func (b *bench) timed() []string {
	return []string{
		"warmup=" + strconv.FormatInt(b.warmUp.Milliseconds(), 10),
		"time=" + strconv.FormatInt(b.o.time.Milliseconds(), 10),
	}
}

func to(e end, port int) []string {
	return []string{"remote=" + e.addr, "port=" + strconv.Itoa(port)}
}

const untilStopped = "time=0"

// A run that takes longer than this hangs: micro measures that many times, one
// after the other, and a busy machine may be slow to start and end programs.
const (
	longestRun = 5
	settle     = 20 * time.Second
)

// An outcome is what one run of one side brought: what it measured, and what its peer did.
type outcome struct{ subject, peer result }

func (b *bench) run(ctx context.Context, c benchCase, side string) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, longestRun*(b.warmUp+b.o.time)+settle)
	defer cancel()
	switch {
	case c.job == jobMicro:
		return b.runMicro(ctx, c)
	case c.link == linkXDP:
		return b.runXDP(ctx, c)
	case c.job == jobSend:
		return b.runSend(ctx, c, side)
	default:
		return b.runServer(ctx, c, side)
	}
}

// runMicro needs no peer.
func (b *bench) runMicro(ctx context.Context, c benchCase) (r outcome, err error) {
	subject, _ := b.place(c)
	p, err := start(ctx, subject.ns, b.o.dir, programOf[sideOurs], b.args(c, subject, jobMicro, b.timed()...)...)
	if err != nil {
		return r, err
	}
	r.subject, err = p.result()
	return r, err
}

// runSend starts the peer first, and ends with the subject.
func (b *bench) runSend(ctx context.Context, c benchCase, side string) (r outcome, err error) {
	subject, peer := b.place(c)
	sink, err := start(ctx, peer.ns, b.o.dir, "peer", b.args(c, peer, "sink", untilStopped)...)
	if err != nil {
		return r, err
	}
	defer sink.kill()
	port, err := sink.ready()
	if err != nil {
		return r, err
	}
	args := b.args(c, subject, jobSend, append(to(peer, port), b.timed()...)...)
	p, err := start(ctx, subject.ns, b.o.dir, programOf[side], args...)
	if err != nil {
		return r, err
	}
	defer p.kill()
	if r.subject, err = p.result(); err != nil {
		return r, err
	}
	sink.stop()
	r.peer, err = sink.result()
	return r, err
}

// runServer starts the subject first. A receiver is measured for its time; an
// echo server is asked by a peer that has the clock.
func (b *bench) runServer(ctx context.Context, c benchCase, side string) (r outcome, err error) {
	subject, peer := b.place(c)
	served, asked := jobReceive, "flood"
	serverTime := b.timed()
	peerArgs := []string{untilStopped, "rate=" + strconv.Itoa(b.o.rate)}
	if c.job != jobReceive {
		served, asked = jobEcho, "ping"
		serverTime = append(b.timed()[:1], untilStopped)
		peerArgs = append(b.timed(), "window="+strconv.Itoa(window(c)))
	}
	server, err := start(ctx, subject.ns, b.o.dir, programOf[side], b.args(c, subject, served, serverTime...)...)
	if err != nil {
		return r, err
	}
	defer server.kill()
	port, err := server.ready()
	if err != nil {
		return r, err
	}
	peerArgs = b.args(c, peer, asked, append(to(subject, port), peerArgs...)...)
	client, err := start(ctx, peer.ns, b.o.dir, "peer", peerArgs...)
	if err != nil {
		return r, err
	}
	defer client.kill()
	first, then := server, client
	r1, r2 := &r.subject, &r.peer
	if c.job != jobReceive {
		first, then, r1, r2 = client, server, r2, r1
	}
	if *r1, err = first.result(); err != nil {
		return r, err
	}
	then.stop()
	*r2, err = then.result()
	return r, err
}

func window(c benchCase) int {
	if c.job == jobPing {
		return 1
	}
	return echoWindow
}
