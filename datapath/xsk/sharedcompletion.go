// SPDX-License-Identifier: MIT

package xsk

import "sync/atomic"

// SharedCompletion is a COMPLETION ring from which any number of threads and
// processes take at the same time, each for all: a completion ends the flight of
// its chunk, in [Flights], whoever owns it. It holds no lock: who is killed or
// stopped at any instruction holds up nobody.
//
// A completion is taken in two steps. The first ends the flight, by compare-and-swap,
// noting the index of the completion; the second moves the consumer index. Who
// finds the first step done, by the note or because the chunk is not in flight, does
// the second. So every completion counts once, although its chunk may be in flight
// again before the second step.
//
// With at least as many entries as there are TX chunks the ring is never full: a
// full one would stop all senders.
//
// A SharedCompletion may be used by any number of threads.
type SharedCompletion struct {
	ring    Ring[uint64]
	flights Flights
	step    func() // called before each access to shared memory by tests that stop there; else nil
}

// NewSharedCompletion shares a COMPLETION ring, whose chunks flights describes.
func NewSharedCompletion(ring *Ring[uint64], flights *Flights) *SharedCompletion {
	return &SharedCompletion{ring: *ring, flights: *flights}
}

// Reap takes up to limit completions and returns how many it took itself. An address
// that is no TX chunk's is dropped.
func (c *SharedCompletion) Reap(limit int) int {
	reaped := 0
	// Each turn that fails is another member's success, or a lie: the bound is for lies.
	for attempts := limit + int(c.ring.size); reaped < limit && attempts > 0; attempts-- {
		at := c.consumer()
		n := c.producer() - at
		switch {
		case n == 0:
			return reaped
		case n > c.ring.size: // at has been overtaken, or somebody lied
			c.move(at, at+n-c.ring.size)
		case c.take(at):
			reaped++
		}
	}
	return reaped
}

// take takes the completion at an index, and reports whether it was the one to do so.
func (c *SharedCompletion) take(at uint32) bool {
	word := c.flights.word(c.load(at))
	if word == nil {
		return c.move(at, at+1)
	}
	c.pause()
	old := atomic.LoadUint32(word)
	// Only while the completion is still in the ring do entry and word belong together.
	if c.consumer() != at {
		return false
	}
	ended := (at + 1) << 1
	if old&inFlight != 0 && old&^inFlight != ended {
		c.pause()
		atomic.CompareAndSwapUint32(word, old, ended)
	}
	return c.move(at, at+1)
}

// move moves the consumer index, unless somebody has.
func (c *SharedCompletion) move(from, to uint32) bool {
	c.pause()
	return atomic.CompareAndSwapUint32(c.ring.consumer, from, to)
}

func (c *SharedCompletion) consumer() uint32 {
	c.pause()
	return atomic.LoadUint32(c.ring.consumer)
}

func (c *SharedCompletion) producer() uint32 {
	return atomic.LoadUint32(c.ring.producer)
}

func (c *SharedCompletion) load(at uint32) uint64 {
	c.pause()
	return atomic.LoadUint64(c.ring.at(at))
}

func (c *SharedCompletion) pause() {
	if c.step != nil {
		c.step()
	}
}
