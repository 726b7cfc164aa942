// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// flightWorld is a COMPLETION ring and members that each send with one chunk.
type flightWorld struct {
	t      *testing.T
	c      *SharedCompletion
	sent   []uint32 // chunks that the kernel has got and not completed
	flying []bool   // by chunk: begun by its owner and not completed by the kernel
	seen   uint32   // where the consumer index was last
}

func newFlightWorld(t *testing.T, start, size uint32, members int) *flightWorld {
	ring := newRing[uint64](t, size)
	*ring.producer, *ring.consumer = start, start
	c, err := NewSharedCompletion(ring, make([]uint32, 1), 0, testChunk)
	if err != nil {
		t.Fatal(err)
	}
	c.words = make([]uint32, members) // more than entries, to go around soon
	return &flightWorld{t: t, c: c, flying: make([]bool, members), seen: start}
}

// canComplete says that the kernel, which waits for room, has something to do.
func (f *flightWorld) canComplete() bool {
	used := atomic.LoadUint32(f.c.ring.producer) - atomic.LoadUint32(f.c.ring.consumer)
	return len(f.sent) > 0 && used < f.c.ring.size
}

// complete is the kernel's part.
func (f *flightWorld) complete() {
	producer := atomic.LoadUint32(f.c.ring.producer)
	*f.c.ring.at(producer) = uint64(f.sent[0])*testChunk + 256
	f.flying[f.sent[0]] = false
	f.sent = f.sent[1:]
	atomic.StoreUint32(f.c.ring.producer, producer+1)
}

func (f *flightWorld) empty() bool {
	return atomic.LoadUint32(f.c.ring.producer) == atomic.LoadUint32(f.c.ring.consumer)
}

func (f *flightWorld) busy(chunk uint32) bool {
	return atomic.LoadUint32(&f.c.words[chunk])&inFlight != 0
}

// begin is the owner's part, for a chunk that is not busy.
func (f *flightWorld) begin(chunk uint32) {
	f.c.Begin(chunk)
	f.flying[chunk] = true
	f.sent = append(f.sent, chunk)
}

// memory also checks that no flight ends before its time, and that nothing goes back.
func (f *flightWorld) memory() []uint64 {
	if int32(*f.c.ring.consumer-f.seen) < 0 {
		f.t.Errorf("the consumer index went back from %#x to %#x", f.seen, *f.c.ring.consumer)
	}
	f.seen = *f.c.ring.consumer
	words := append(make([]uint64, 0, 32), uint64(*f.c.ring.producer), uint64(*f.c.ring.consumer))
	for i := range f.c.ring.size {
		words = append(words, *f.c.ring.at(i))
	}
	for i, word := range f.c.words {
		if f.flying[i] && word&inFlight == 0 {
			f.t.Errorf("chunk %d landed before the kernel gave it back", i)
		}
		words = append(words, uint64(word))
	}
	for _, chunk := range f.sent {
		words = append(words, uint64(chunk))
	}
	return words
}

// newSharedCompletion has a word for each chunk from the first on.
func newSharedCompletion(t failer, ring *Ring[uint64], words []uint32) *SharedCompletion {
	c, err := NewSharedCompletion(ring, words, 0, testChunk)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// complete puts chunks into COMPLETION, by the address of a byte of each.
func complete(c *SharedCompletion, addresses ...uint64) {
	for _, address := range addresses {
		*c.ring.at(*c.ring.producer) = address
		*c.ring.producer++
	}
}

func TestCompletion(t *testing.T) {
	const first = 100 // chunk
	c, err := NewSharedCompletion(newRing[uint64](t, 8), make([]uint32, 8), first, testChunk)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint32(8) {
		if c.Busy(first + n) {
			t.Errorf("chunk %d is busy at first", n)
		}
		c.Begin(first + n)
	}
	complete(c, 103*testChunk, 100*testChunk+99, 99*testChunk, 108*testChunk, ^uint64(0), 107*testChunk+2047)
	if n := c.Reap(2); n != 2 {
		t.Errorf("reaped %d, asked for 2", n)
	}
	if n := c.Reap(100); n != 4 {
		t.Errorf("reaped %d, there were 4", n)
	}
	if n := c.Reap(100); n != 0 {
		t.Errorf("reaped %d, there were none", n)
	}
	for n := range uint32(8) {
		if landed := n == 3 || n == 0 || n == 7; c.Busy(first+n) == landed {
			t.Errorf("chunk %d: busy %v", first+n, !landed)
		}
	}
}

func TestAbandonedFlight(t *testing.T) {
	c := newSharedCompletion(t, newRing[uint64](t, 8), make([]uint32, 8))
	c.Begin(1)
	c.Abandon(1)
	c.Abandon(1)
	if c.Busy(1) {
		t.Error("busy")
	}
	complete(c, testChunk) // after all
	if n := c.Reap(1); n != 1 || c.Busy(1) {
		t.Errorf("reaped %d, busy %v", n, c.Busy(1))
	}
}

// Somebody may write anything into ring and words at any time. Verbs must come to an
// end, and inside the ring.
func TestCompletionFullOfLies(t *testing.T) { rapid.Check(t, checkCompletionLies) }

func checkCompletionLies(t *rapid.T) {
	c := newSharedCompletion(t, newRing[uint64](t, 8), make([]uint32, 4))
	start := startAt.Draw(t, "start")
	*c.ring.producer, *c.ring.consumer = start, start
	lies := rapid.SliceOfN(rapid.Uint32(), 1, 20).Draw(t, "lies")
	c.step = func(any) {
		lie := lies[0]
		lies = append(lies[1:], lie)
		switch lie % 6 {
		case 0:
			*c.ring.producer = lie
		case 1:
			*c.ring.consumer = lie
		case 2:
			*c.ring.at(lie / 5) = uint64(lie) << 10
		case 3:
			c.words[lie%4] = lie
		case 4:
			*c.ring.consumer += lie % 3
		}
	}
	c.Begin(2)
	if n := c.Reap(20); n > 20 {
		t.Fatalf("reaped %d", n)
	}
	// What the kernel writes next is seen, wherever the consumer index is.
	c.step = nil
	lie := rapid.Uint32().Draw(t, "consumer")
	*c.ring.producer, *c.ring.consumer = start, lie
	c.words[2] = start<<1 | inFlight
	complete(c, 2*testChunk)
	for range 3 {
		c.Reap(8)
	}
	if *c.ring.consumer != *c.ring.producer || c.Busy(2) && start+1-lie > 0 && start+1-lie <= 8 {
		t.Fatalf("at %d of %d, busy %v", *c.ring.consumer, *c.ring.producer, c.Busy(2))
	}
}

func TestCompletionThatCannotBe(t *testing.T) {
	ring := newRing[uint64](t, 8)
	for _, test := range []struct {
		words int
		chunk uint32
	}{{0, testChunk}, {9, testChunk}, {8, 0}, {8, 3000}} {
		if _, err := NewSharedCompletion(ring, make([]uint32, test.words), 0, test.chunk); err == nil || !strings.Contains(err.Error(), "8 entries") {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// flightOrder is what a flightWorld is to do.
type flightOrder struct {
	start, size uint32
	limit       int   // of a Reap
	flights     []int // of each member
	killable    bool  // one member
}

func TestCompletionInEveryOrder(t *testing.T) {
	for _, order := range []flightOrder{
		{start: 1<<31 - 2, size: 4, limit: 4, flights: []int{2, 0}, killable: true},
		{start: ^uint32(0) - 1, size: 1, limit: 1, flights: []int{1, 2}}, // around while others stand still
	} {
		t.Run(fmt.Sprintf("%+v", order), func(t *testing.T) {
			explore(t, func(w *world) { order.build(t, w) })
		})
	}
}

func (o flightOrder) build(t *testing.T, w *world) {
	f := newFlightWorld(t, o.start, o.size, len(o.flights))
	f.c.step = w.step
	w.actor(false, func() {
		for {
			w.wait(f.canComplete)
			f.complete()
		}
	})
	left := make([]uint64, len(o.flights))
	for m := range uint32(len(o.flights)) {
		left[m] = uint64(o.flights[m])
		w.actor(o.killable, func() {
			for {
				w.wait(func() bool { return !f.empty() || left[m] > 0 && !f.busy(m) })
				if left[m] > 0 && !f.busy(m) {
					left[m]--
					f.begin(m)
				} else {
					f.c.Reap(o.limit)
				}
			}
		})
	}
	w.memory = func() []uint64 { return append(f.memory(), left...) }
	w.atEnd = func() {
		dead := slices.Index(w.actors, w.killed) - 1
		if !f.empty() || len(f.sent) > 0 {
			t.Errorf("%d completions are in the ring, %d chunks are sent", *f.c.ring.producer-*f.c.ring.consumer, len(f.sent))
		}
		for m := range o.flights {
			if m != dead && (left[m] > 0 || f.busy(uint32(m))) {
				t.Errorf("chunk %d waits for ever, %d flights left", m, left[m])
			}
		}
	}
}
