// SPDX-License-Identifier: MIT

package torture

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// answering is a stream that has asked some questions of process 7.
func answering(questions int) (*stream, *weather) {
	s := &stream{c: &Conductor{}, id: identifier{0xa0, 1}, asked: map[uint64]question{}}
	w := &weather{}
	s.own(7, w)
	for n := range questions {
		s.sequence++
		s.asked[s.sequence] = question{time.Now().Add(time.Duration(n) * time.Microsecond), serverAddrs[0]}
	}
	return s, w
}

// answer is what a process sends for a question.
func (s *stream) answer(n uint64, pid uint32, id identifier) []byte {
	b := s.write(make([]byte, mostDatagram), n)
	b[atKind] = 'a'
	copy(b[atSigned:], id[:])
	binary.BigEndian.PutUint32(b[atProcess:], pid)
	return b
}

// TestCheck shows that wrong answers are noticed.
func TestCheck(t *testing.T) {
	own, other := identifier{0xa0, 1}, identifier{0xa0, 2}
	for _, test := range []struct {
		name string
		make func(*stream) []byte
		want string // in the error; "": none
	}{
		{"right", func(s *stream) []byte { return s.answer(3, 7, own) }, ""},
		{"another server", func(s *stream) []byte { return s.answer(3, 8, other) }, "misrouted"},
		{"another process", func(s *stream) []byte { return s.answer(3, 8, own) }, "misrouted"},
		{"another identifier of the process", func(s *stream) []byte { return s.answer(3, 7, other) }, "misrouted"},
		{"a wrong byte", func(s *stream) []byte {
			b := s.answer(3, 7, own)
			b[len(b)-1]++
			return b
		}, "wrong bytes"},
		{"another connection ID", func(s *stream) []byte {
			b := s.answer(3, 7, own)
			b[atIdentifier]++
			return b
		}, "wrong bytes"},
		{"short", func(s *stream) []byte { return s.answer(3, 7, own)[:atPattern] }, "wrong bytes"},
		{"a question", func(s *stream) []byte { return s.write(make([]byte, mostDatagram), 3) }, "wrong bytes"},
		{"nothing", func(*stream) []byte { return nil }, "wrong bytes"},
		{"not asked", func(s *stream) []byte { return s.answer(11, 7, own) }, "wrong bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := answering(10)
			err := s.check(test.make(s), make([]byte, mostDatagram), netip.AddrPort{})
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if s.answered != 1 && err == nil {
				t.Errorf("%d answers counted", s.answered)
			}
		})
	}
}

// TestFormerOwner shows that a process may answer what it was asked while it had the identifier, and
// nothing else.
func TestFormerOwner(t *testing.T) {
	s, w := answering(2)
	s.disown(7)
	s.own(8, w)
	s.sequence++
	s.asked[s.sequence] = question{time.Now(), serverAddrs[0]}
	buffer := make([]byte, mostDatagram)
	if err := s.check(s.answer(1, 7, s.id), buffer, netip.AddrPort{}); err != nil {
		t.Errorf("asked before: %v", err)
	}
	if err := s.check(s.answer(3, 7, s.id), buffer, netip.AddrPort{}); !errors.Is(err, errMisrouted) {
		t.Errorf("asked after: %v", err)
	}
	if err := s.check(s.answer(3, 8, s.id), buffer, netip.AddrPort{}); err != nil {
		t.Errorf("its successor: %v", err)
	}
}

// TestOverdue shows that losses are noticed, and not blamed on whom something was done to.
func TestOverdue(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*stream, *weather)
		lost int
	}{
		{"undisturbed", func(*stream, *weather) {}, 1},
		{"disturbed", func(_ *stream, w *weather) { w.storms = []storm{{from: time.Now().Add(-2 * lateness)}} }, 0},
		{"all disturbed", func(s *stream, _ *weather) {
			s.c.weather.storms = []storm{{from: time.Now().Add(-2 * lateness), until: time.Now().Add(-lateness)}}
		}, 0},
		{"disturbed before", func(_ *stream, w *weather) {
			w.storms = []storm{{from: time.Now().Add(-4 * lateness), until: time.Now().Add(-3 * lateness)}}
		}, 1},
		{"nobody has it", func(s *stream, _ *weather) { s.owners = nil }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, w := answering(0)
			s.owners[0].from = time.Now().Add(-5 * lateness)
			s.asked[1] = question{time.Now().Add(-lateness - time.Second), serverAddrs[0]}
			test.do(s, w)
			for len(s.asked) > 0 {
				s.overdue()
			}
			if len(s.lost) != test.lost {
				t.Errorf("%d lost, want %d", len(s.lost), test.lost)
			}
		})
	}
}

// TestStarving shows that it is noticed when nobody answers.
func TestStarving(t *testing.T) {
	s, w := answering(0)
	s.owners[0].from = time.Now().Add(-time.Hour)
	if d := s.starving(); d < time.Hour {
		t.Errorf("without an answer for an hour: %v", d)
	}
	s.last = time.Now().Add(-time.Minute)
	if d := s.starving(); d < time.Minute || d > time.Hour {
		t.Errorf("without an answer for a minute: %v", d)
	}
	w.begin()
	if d := s.starving(); d > time.Second {
		t.Errorf("who is disturbed: %v", d)
	}
	w.end()
	s.disown(7)
	if d := s.starving(); d != 0 {
		t.Errorf("nobody has it: %v", d)
	}
}

// TestBind shows that it is noticed when a foreign program gets the port.
func TestBind(t *testing.T) {
	netnstest.Require(t)
	n, err := newNetwork()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	c := &Conductor{net: n, port: 4433, random: rand.New(rand.NewPCG(1, 0))}
	c.begin()
	if err := c.actForeign(); err != nil {
		t.Fatal(err)
	}
	if err := c.violated(); !errors.Is(err, ErrViolated) || !strings.Contains(err.Error(), "stolen port") {
		t.Errorf("a free port: %v", err)
	}
}

// TestNetwork shows that what is done to the interface is done.
func TestNetwork(t *testing.T) {
	netnstest.CheckFDs(t)
	netnstest.Require(t)
	n, err := newNetwork()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	first := n.ifindex
	for _, step := range []func() error{
		n.down, n.up,
		func() error { return n.setQueues(2) }, func() error { return n.setQueues(1) },
		func() error { return n.addAddress(extraAddr) }, func() error { return n.deleteAddress(extraAddr) },
		n.replace,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if n.ifindex == first {
		t.Errorf("interface %d was not replaced", first)
	}
}
