// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
)

// flightWorld is a COMPLETION ring and members that each send with one chunk.
type flightWorld struct {
	t      *testing.T
	c      *SharedCompletion
	sent   []uint32 // chunks that the kernel has got and not completed
	flying []bool   // by chunk: begun by its owner and not completed by the kernel
}

func newFlightWorld(t *testing.T, start, size uint32, members int) *flightWorld {
	ring := newRing[uint64](t, size)
	*ring.producer, *ring.consumer = start, start
	c, err := NewSharedCompletion(ring, make([]uint32, 1), 0, testChunk)
	if err != nil {
		t.Fatal(err)
	}
	c.words = make([]uint32, members) // more than entries, to go around soon
	return &flightWorld{t: t, c: c, flying: make([]bool, members)}
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

// memory also checks that no flight ends before its time.
func (f *flightWorld) memory() []uint64 {
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

func TestCompletionInEveryOrder(t *testing.T) {
	for _, test := range []struct {
		start, size uint32
		limit       int   // of a Reap
		flights     []int // of each member
	}{
		{start: 0, size: 2, limit: 1, flights: []int{1, 1}},
		{start: 1<<31 - 2, size: 4, limit: 4, flights: []int{3, 0}},
		{start: ^uint32(0) - 1, size: 1, limit: 1, flights: []int{1, 2}}, // around while others stand still
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			explore(t, func(w *world) { buildFlights(t, w, test.start, test.size, test.limit, test.flights) })
		})
	}
}

func buildFlights(t *testing.T, w *world, start, size uint32, limit int, flights []int) {
	f := newFlightWorld(t, start, size, len(flights))
	f.c.step = w.step
	w.actor(false, func() {
		for {
			w.wait(f.canComplete)
			f.complete()
		}
	})
	left := make([]uint64, len(flights))
	for m := range uint32(len(flights)) {
		left[m] = uint64(flights[m])
		w.actor(true, func() {
			for {
				w.wait(func() bool { return !f.empty() || left[m] > 0 && !f.busy(m) })
				if left[m] > 0 && !f.busy(m) {
					left[m]--
					f.begin(m)
				} else {
					f.c.Reap(limit)
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
		for m := range flights {
			if m != dead && (left[m] > 0 || f.busy(uint32(m))) {
				t.Errorf("chunk %d waits for ever, %d flights left", m, left[m])
			}
		}
	}
}
