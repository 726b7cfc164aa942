// SPDX-License-Identifier: MIT

// Command rings plays the jobs of the plain AF_XDP loop on the rings of this
// project: on a socket with a UMEM of its own (package xsk), or as a member of a
// pool that it shares (package pool). Its options and its output are those of the
// programs in ../prog.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A port is what the jobs work on: RX and TX of one queue.
type port interface {
	fd() int
	peek() int           // packets there are, at most [turn]
	packet(i int) []byte // of those
	release()            // all of them

	// send fills n packets by write, which returns their lengths, and gives them
	// to the kernel, or returns false without room for all.
	send(n int, write func(i int, frame []byte) int) bool

	// sendBack turns all packets of the turn around, sends them back and releases them, or
	// does nothing and returns false without room for all.
	sendBack() bool
	kick()
	close()
}

// turn is how many packets a turn has at the most.
const turn = 64

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rings:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	stop := stopped()
	runtime.LockOSThread()
	p, err := open(o)
	if err != nil {
		return err
	}
	defer p.close()
	if err := pin(o.cpu); err != nil {
		return err
	}
	m := &meter{o: o, stop: stop}
	switch pooled, _ := p.(*member); o.job {
	case "receive":
		receive(p, m)
	case "send":
		send(p, m)
	case "echo":
		echo(p, m)
	case "receive-stages":
		return receiveStages(pooled, m)
	case "send-stages":
		return sendStages(pooled, m)
	default:
		return fmt.Errorf("no job %q", o.job)
	}
	return m.report()
}

func open(o *options) (port, error) {
	switch o.on {
	case "own":
		return openOwn(o)
	case "pool":
		return openPool(o)
	}
	return nil, fmt.Errorf("on=%s: own or pool", o.on)
}

func stopped() *atomic.Bool {
	var stop atomic.Bool
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() { <-c; stop.Store(true) }()
	return &stop
}

// hold says that all is open, and waits until all others are, if that is asked for.
func hold(o *options) {
	if o.hold {
		ready()
		_, _ = os.Stdin.Read(make([]byte, 1))
	}
}

// pin binds the calling thread to a processor, 1 for the first; 0 is any.
func pin(cpu int) error {
	if cpu == 0 {
		return nil
	}
	var set unix.CPUSet
	set.Set(cpu - 1)
	return unix.SchedSetaffinity(0, &set)
}

// wait returns when there are packets, or after a moment. The runtime is not told:
// it would begin to look for other work, which there is none of, at each call.
func wait(p port) {
	moment := unix.NsecToTimespec(int64(50 * time.Millisecond))
	fd := unix.PollFd{Fd: int32(p.fd()), Events: unix.POLLIN}
	// Safety: both live until the call returns, and the kernel writes no more than them.
	_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fd)), 1, uintptr(unsafe.Pointer(&moment)), 0, 0, 0)
}
