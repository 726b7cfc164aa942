// SPDX-License-Identifier: MIT

package pool

import (
	"testing"

	"pgregory.net/rapid"
)

// history is a pool of actors to whom everything happens that can.
type history struct {
	*rapid.T
	w      *wire
	actors []*actor
	full   bool // some ring has been: the kernel may keep a chunk
}

// Whatever happens, every packet comes to whom it is for, in order, and every chunk is somewhere.
func TestHistories(t *testing.T) {
	w := newWire(t)
	rapid.Check(t, w.history)
}

// The same, in orders that the fuzzer finds.
func FuzzHistory(f *testing.F) {
	w := newWire(f)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, order []byte) {
		w.TB = t
		defer func() { w.TB = f }()
		rapid.MakeFuzz(w.history)(t, order)
	})
}

// history lets everything happen that can, in random order.
func (w *wire) history(t *rapid.T) {
	h := &history{T: t, w: w}
	defer h.end()
	t.Repeat(map[string]func(*rapid.T){
		"come":                  h.come,
		"leave":                 h.leave,
		"die":                   h.die,
		"die in a turn":         h.dieInTurn,
		"die while cleaning up": h.dieCleaningUp,
		"stop in a turn":        h.stopInTurn,
		"go on":                 h.goOn,
		"feed":                  h.feed,
		"eat":                   h.eat,
		"send":                  h.send,
		"":                      h.check,
	})
}

func (h *history) one(t *rapid.T, fit func(*actor) bool) *actor {
	var fitting []*actor
	for _, a := range h.actors {
		if fit(a) {
			fitting = append(fitting, a)
		}
	}
	if len(fitting) == 0 {
		t.Skip("nobody")
	}
	return fitting[rapid.IntRange(0, len(fitting)-1).Draw(t, "actor")]
}

func anyone(*actor) bool     { return true }
func awake(a *actor) bool    { return !a.stopped }
func sleeping(a *actor) bool { return a.stopped }

func (h *history) drop(a *actor) {
	for i, b := range h.actors {
		if a == b {
			h.actors = append(h.actors[:i:i], h.actors[i+1:]...)
			return
		}
	}
}

func (h *history) come(t *rapid.T) {
	if len(h.actors) == small.Members {
		t.Skip("full")
	}
	h.actors = append(h.actors, h.w.act(small))
}

func (h *history) leave(t *rapid.T) {
	a := h.one(t, awake)
	if err := a.Leave(); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	h.drop(a)
}

func (h *history) die(t *rapid.T) {
	a := h.one(t, anyone)
	a.die()
	h.drop(a)
}

var turnPoints = rapid.SampledFrom([]point{beforePush, afterPush, afterRelease})

func (h *history) dieInTurn(t *rapid.T) {
	a := h.one(t, awake)
	h.stop(t, a)
	a.die()
	h.drop(a)
}

func (h *history) stopInTurn(t *rapid.T) { h.stop(t, h.one(t, awake)) }

// stop lets it stop in a turn, with packets.
func (h *history) stop(t *rapid.T, a *actor) {
	h.give(a, rapid.IntRange(1, 20).Draw(t, "packets"))
	n := a.Peek(rapid.IntRange(1, 20).Draw(t, "limit"))
	for i := range n {
		a.check(a.Packet(i))
	}
	a.stopAt(turnPoints.Draw(t, "where"))
	a.turn = make(chan struct{})
	go func() {
		defer close(a.turn)
		a.Release()
	}()
	<-a.met
	a.stopped = true
}

func (h *history) goOn(t *rapid.T) {
	a := h.one(t, sleeping)
	a.resume()
	<-a.turn
	a.stopped = false
}

func (h *history) dieCleaningUp(t *rapid.T) {
	if len(h.actors) < 3 {
		t.Skip("too few")
	}
	a := h.one(t, anyone)
	b := h.one(t, func(b *actor) bool { return b != a && !b.stopped })
	for _, c := range h.actors {
		if c != b && c != a {
			c.reviewing.Lock()
		}
	}
	b.stopAt(rapid.SampledFrom([]point{afterMissing, beforeRest, afterRest}).Draw(t, "where"))
	a.die()
	<-b.met
	b.die()
	for _, c := range h.actors {
		if c != b && c != a {
			c.reviewing.Unlock()
		}
	}
	h.drop(a)
	h.drop(b)
}

// give sends it packets, as many as its ring takes or more.
func (h *history) give(a *actor, n int) {
	before, err := a.Statistics()
	if err != nil {
		h.Fatal(err)
	}
	a.feed(n)
	after, err := a.Statistics()
	if err != nil {
		h.Fatal(err)
	}
	lost := after.RXRingFull - before.RXRingFull
	h.full = h.full || lost > 0
	// What a full ring does not take is the last.
	a.sent -= lost
	if after.RXDropped != 0 || after.FillEmpty != 0 || int(a.sent-a.next+1) > small.Ring {
		h.Errorf("%+v, %d packets in a ring", after, a.sent-a.next+1)
	}
}

func (h *history) feed(t *rapid.T) {
	h.give(h.one(t, anyone), rapid.SampledFrom([]int{1, 7, 40, 100}).Draw(t, "packets"))
}

func (h *history) eat(t *rapid.T) {
	a := h.one(t, awake)
	a.eat()
	if a.next != a.sent+1 {
		t.Errorf("slot %d got packets up to %d of %d", a.Slot(), a.next-1, a.sent)
	}
}

func (h *history) send(t *rapid.T) {
	a := h.one(t, awake)
	packets := make([][]byte, rapid.IntRange(1, 100).Draw(t, "packets"))
	for i := range packets {
		packets[i] = packet(nobody, uint64(i), 100)
	}
	if err := a.put(packets...); err != nil {
		t.Error(err)
	}
}

// check counts the chunks, once those who died are cleaned up after.
func (h *history) check(t *rapid.T) {
	if len(h.actors) == 0 {
		h.full = false
		return
	}
	a := h.one(t, anyone)
	c := a.waitSeats(len(h.actors))
	twice, ring := 0, 0
	for _, b := range h.actors {
		if b.stopped {
			twice += MaxTurn
		}
		ring += int(b.sent - b.next + 1)
	}
	if c.Missing > 1 || c.Missing == 1 && !h.full || c.Twice > twice || twice == 0 && c.Ring != ring || c.Fill+c.Ring+c.Missing != c.Receive {
		t.Errorf("%d packets in rings: %v", ring, c)
	}
}

// end lets all go on and leave, and packets go around before: chunks that are in two places
// would be seen.
func (h *history) end() {
	for len(h.actors) > 0 {
		a := h.actors[0]
		if a.stopped {
			a.resume()
			<-a.turn
			a.stopped = false
		}
		a.eat()
		a.churn()
		if len(h.actors) == 1 {
			wantWhole(h.T, a.waitSeats(1), 0)
		}
		if err := a.Close(); err != nil {
			h.Error(err)
		}
		h.drop(a)
	}
}
