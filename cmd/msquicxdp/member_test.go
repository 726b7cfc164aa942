// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/notice"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// memberWish is what a process that uses AF_XDP is to do.
type memberWish struct {
	Ifindex int
	Mode    classifier.Mode
	Port    uint16
	ID      string // in encoding 2@9/9; "": the port is exclusive
	Program string
}

// beMember does what a datapath does with XDP, as far as it can: it claims a port, joins the
// pool of queue 0, makes its rule, and says in a notice what it has got. Then it receives,
// and prints how many packets whenever it is asked by a line.
func beMember(stateDir, wish string) error {
	var w memberWish
	if err := json.Unmarshal([]byte(wish), &w); err != nil {
		return err
	}
	dir, err := rundir.Open(stateDir)
	if err != nil {
		return err
	}
	n := notice.Notice{PID: os.Getpid(), Program: w.Program, Since: time.Now()}
	var received atomic.Uint64
	q, err := w.join(dir)
	if err == nil {
		n.Served = []string{"r0"}
		go receive(q, &received)
	} else {
		n.Reasons = []string{"interface r0: " + err.Error()}
	}
	if _, err := notice.Post(dir, n); err != nil {
		return err
	}
	fmt.Println("ready")
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		fmt.Println(received.Load())
	}
	return nil
}

func (w *memberWish) join(dir *rundir.Dir) (*pool.Queue, error) {
	party := rules.Party{Kind: rules.Listener, XDP: true, Program: w.Program, Steering: true}
	rule := classifier.Rule{}
	if w.ID != "" {
		party.Kind, party.ID, party.Encoding = rules.CIBIR, mustID(w.ID), nine
		rule = classifier.Shared(nine)
	}
	if _, err := portres.Acquire(dir, portres.Spec{Proto: rules.UDP, Port: w.Port, Party: party}); err != nil {
		return nil, err
	}
	m, err := pool.Open(dir, memberKernel{w.Mode})
	if err != nil {
		return nil, err
	}
	q, err := m.Join(w.Ifindex, 0, pool.Options{})
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	c := q.Program().(memberProgram)
	if !rule.Shared {
		rule = classifier.Exclusive(m.Slot())
	}
	err = errors.Join(c.SetAddresses([]netip.Addr{netip.MustParseAddr("10.0.0.2")}), c.PutPort(w.Port, rule))
	if w.ID != "" {
		err = errors.Join(err, c.PutIdentifier(w.Port, mustID(w.ID), m.Slot()))
	}
	return q, err
}

// receive counts what comes, until the process ends.
func receive(q *pool.Queue, received *atomic.Uint64) {
	for {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(q.FD()), Events: unix.POLLIN}}, -1)
		n := q.Peek(pool.MaxTurn)
		q.Release()
		received.Add(uint64(n))
	}
}

// memberKernel makes classifiers, as datapath/xdp does.
type memberKernel struct{ mode classifier.Mode }

type memberProgram struct{ *classifier.Classifier }

func (k memberKernel) Attach(ifindex int) (pool.Program, error) {
	c, err := classifier.Load(classifier.Options{LongestPacket: 1514})
	if err != nil {
		return nil, err
	}
	if _, err := c.Attach(ifindex, k.mode); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return memberProgram{c}, nil
}

func (k memberKernel) Adopt(_ int, fds []int) (pool.Program, error) {
	c, err := classifier.Adopt(classifier.FDs(fds))
	return memberProgram{c}, err
}

func (p memberProgram) FDs() []int {
	fds := p.Classifier.FDs()
	return fds[:]
}

// datagram is one with a short header that carries an identifier of 2 bytes at offset 9.
func datagram(id cibir.ID) []byte {
	d := append([]byte{0x40}, make([]byte, 40)...)
	copy(d[1+9:], id.Bytes())
	return d
}
