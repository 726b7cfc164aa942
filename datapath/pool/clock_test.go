// SPDX-License-Identifier: MIT

package pool

import (
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// Members whose clocks differ by years share a queue, see who dies, and clean up after each other as others do.
func TestClocksThatDiffer(t *testing.T) {
	w := newWire(t)
	years := 50 * 365 * 24 * time.Hour
	var members []*child
	aheads := []time.Duration{0, years, -netnstest.Clock() + time.Minute}
	for _, ahead := range aheads {
		c := w.spawn(job{Options: small, Ahead: ahead})
		if off := c.do("stat").Clock - netnstest.Clock() - ahead; off.Abs() > time.Minute {
			t.Fatalf("the clock is %v off", off)
		}
		members = append(members, c)
	}
	s := w.stream(10000)
	s.to(slotsOf(members))
	for round := range 2 * len(members) {
		i := round % len(members)
		for _, c := range members {
			w.receives(c)
		}
		members[i].kill()
		members[i] = w.spawn(job{Options: small, Ahead: aheads[i]})
		s.to(slotsOf(members))
	}
	s.end()
	recoveries := 0
	for _, c := range members {
		w.waitWhole(c, len(members))
		r := c.do("stat")
		if r.Wrong+r.Behind != 0 || r.Slowest > time.Second {
			t.Errorf("%+v", r)
		}
		recoveries += r.Recoveries
	}
	for _, c := range members {
		c.end()
	}
	if recoveries == 0 {
		t.Error("nobody has cleaned up")
	}
}

// receives waits until a member gets more packets.
func (w *wire) receives(c *child) {
	w.Helper()
	begun := c.do("stat").Received
	for deadline := time.Now().Add(limit); c.do("stat").Received < begun+100; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("slot %d receives nothing: %+v", c.slot, c.do("stat"))
		}
	}
}

// waitWhole waits until so many members are there, and all chunks.
func (w *wire) waitWhole(c *child, members int) {
	w.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		census := c.do("audit").Census
		if len(census.Seats) == members && census.Missing <= 1 && census.Twice == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("slot %d: %v", c.slot, census)
		}
	}
}
