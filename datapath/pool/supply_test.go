// SPDX-License-Identifier: MIT

package pool

import (
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// As many chunks go round as the members need that there have ever been at a time.
func TestChunksComeWithMembers(t *testing.T) {
	w := newWire(t)
	var members []*actor
	want := func(seats int) {
		t.Helper()
		c := w.audit(members[0].Member)
		spare := small.Spare
		if want := spare + seats*small.Ring; c.Receive != want || c.Fill != want || c.Idle != (small.Members-seats)*small.Ring {
			t.Errorf("%d seats have been taken, so %d chunks are due: %v", seats, want, c)
		}
	}
	for n := range small.Members {
		members = append(members, w.act(small))
		want(n + 1)
	}
	for _, m := range members {
		m.pass(10)
	}
	last := members[len(members)-1]
	last.die()
	members[0].waitSeats(small.Members - 1)
	want(small.Members)
	members[len(members)-1] = w.act(small)
	want(small.Members)
	for _, m := range members {
		m.die()
	}
}

// Chunks that somebody has lost come back with the next who comes or goes, when the kernel cannot have them in its hands.
func TestLostChunksComeBack(t *testing.T) {
	w := newWire(t)
	a, b := w.act(small), w.act(small)
	lost := small.Ring / 2
	for range lost {
		w.send(packet(a.Slot(), 1, 100))
	}
	for n := 0; n < lost; {
		if err := a.poll(limit); err != nil {
			t.Fatal(err)
		}
		k := a.Peek(MaxTurn)
		a.socket.RX.Release(k) // and not to FILL
		n += k
	}
	if c, err := a.Audit(w.right.Index, 0); err != nil || c.Missing < lost {
		t.Fatalf("%d chunks have been lost: %v %v", lost, c, err)
	}
	b.pass(inHands)
	b.die()
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		c, err := a.Audit(w.right.Index, 0)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("they have not come back: %v %v", c, err)
		}
		if c.Missing == 0 {
			break
		}
	}
	w.audit(a.Member)
	a.die()
}

// resupply does what a review does, and wants it to be done.
func (a *actor) resupply() {
	a.w.Helper()
	for deadline := time.Now().Add(limit); !a.supply(a.Queue); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			a.w.Fatal("it cannot be done")
		}
	}
}

// A member whose socket is not known may have chunks in its ring: nothing is given while there is one.
func TestNoChunksBesideAStranger(t *testing.T) {
	w := newWire(t)
	netnstest.CheckFDs(t)
	a := w.act(small)
	unknown := &a.control.seats[small.Members-1].owner
	unknown.Store(uint32(tenure(0).next().of(nobody - 1)))
	if a.supply(a.Queue) {
		t.Error("chunks were given, although somebody is not known")
	}
	unknown.Store(0)
	if !a.supply(a.Queue) {
		t.Error("no chunks were given, although nobody else is there")
	}
	w.audit(a.Member)
	a.die()
}
