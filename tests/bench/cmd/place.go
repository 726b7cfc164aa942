// SPDX-License-Identifier: MIT

package main

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	addrSubject = "192.0.2.1" // TEST-NET-1
	addrPeer    = "192.0.2.2"
	addrLo      = "127.0.0.1"
)

// A bench is the place where cases are run.
type bench struct {
	o          *options
	left       *namespace // what is measured runs here
	right      *namespace
	xdp        *xdpLink // nil before it is needed
	subjectCPU int      // plus 1, as the programs take it; 0: any
	peerCPU    int
	warmUp     time.Duration
}

func newBench(o *options) (*bench, error) {
	b := &bench{o: o, warmUp: min(o.time/5, 200*time.Millisecond)}
	var err error
	if b.left, err = newNamespace(); err != nil {
		return nil, err
	}
	if b.right, err = newNamespace(); err != nil {
		return nil, err
	}
	if err := joinByVeth(b.left, b.right, "bench", addrSubject, addrPeer); err != nil {
		return nil, err
	}
	b.chooseCPUs()
	return b, nil
}

// chooseCPUs gives each side a processor of its own where there are two: the
// last for what is measured, since the first often has the interrupts.
func (b *bench) chooseCPUs() {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() < 2 {
		return
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			if b.peerCPU == 0 {
				b.peerCPU = cpu + 1
			}
			b.subjectCPU = cpu + 1
		}
	}
}

// place says where the two processes of a case run and what they are called there.
func (b *bench) place(c benchCase) (subject, peer end) {
	if c.link == linkVeth {
		return end{b.left, addrSubject, b.subjectCPU}, end{b.right, addrPeer, b.peerCPU}
	}
	return end{b.left, addrLo, b.subjectCPU}, end{b.left, addrLo, b.peerCPU}
}

type end struct {
	ns   *namespace
	addr string
	cpu  int
}
