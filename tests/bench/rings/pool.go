// SPDX-License-Identifier: MIT

package main

import (
	"errors"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// member is a seat in a pool beside another, which made the pool and does nothing.
type member struct {
	*pool.Queue
	members  []*pool.Member
	state    *rundir.Dir
	outgoing [turn]pool.Outgoing
	n        int // packets of the turn
}

func openPool(o *options) (port, error) {
	state, err := rundir.Open("")
	if err != nil {
		return nil, err
	}
	p := &member{state: state}
	for range 2 {
		m, err := pool.Open(state, programs{})
		if err != nil {
			return nil, err
		}
		p.members = append(p.members, m)
		if p.Queue, err = m.Join(o.ifindex, 0, pool.Options{Checksums: checksums}); err != nil {
			return nil, err
		}
	}
	slot := p.members[1].Slot()
	return p, admit(p.Program().(*program).Classifier, o, slot)
}

// programs makes classifiers for package pool.
type programs struct{}

type program struct{ *classifier.Classifier }

func (programs) Attach(ifindex int) (pool.Program, error) {
	c, err := classifier.Load(classifier.Options{LongestPacket: 1514})
	if err != nil {
		return nil, err
	}
	_, err = c.Attach(ifindex, classifier.Native)
	return program{c}.orClose(err)
}

func (programs) Adopt(_ int, fds []int) (pool.Program, error) {
	c, err := classifier.Adopt(classifier.FDs(fds))
	if err != nil {
		return nil, err
	}
	return program{c}.orClose(nil)
}

func (p program) orClose(err error) (pool.Program, error) {
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &p, nil
}

func (p *program) FDs() []int {
	fds := p.Classifier.FDs()
	return fds[:]
}

func (p *member) peek() int {
	p.n = p.Peek(turn)
	return p.n
}

func (p *member) fd() int             { return p.FD() }
func (p *member) packet(i int) []byte { return p.Packet(i) }
func (p *member) release()            { p.Release() }

func (p *member) send(n int, write func(int, []byte) int) bool {
	if p.Reserve(n) < n {
		return false
	}
	for i := range n {
		p.outgoing[i] = pool.Outgoing{
			Length: uint32(write(i, p.Frame(i))), ChecksumStart: checksum, ChecksumOffset: inPacket,
		}
	}
	p.Submit(p.outgoing[:n])
	return true
}

// sendBack copies: a member sends from chunks of its own.
func (p *member) sendBack() bool {
	ok := p.send(p.n, func(i int, to []byte) int {
		n := copy(to, p.Packet(i))
		turnAround(to[:n])
		return n
	})
	if ok {
		p.Release()
	}
	return ok
}

func (p *member) kick() { _ = p.Kick() }

func (p *member) close() {
	for _, m := range p.members {
		m.Close()
	}
	p.state.Close()
}
