// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"math/bits"
	"sync/atomic"
)

// SharedCompletion is a COMPLETION ring from which any number of threads and
// processes take at the same time, each for all: whoever owns the chunk. It holds
// no lock: who is killed or stopped at any instruction holds up nobody.
//
// A chunk is in flight from when its owner names it in a TX ring until the kernel has
// given it back. That is said by a word for each TX chunk, in memory that all members
// share:
//
//	bit 0      the chunk is in flight
//	bits 1-31  no completion before this index (modulo 2^31) is of the flight under way
//
// The owner begins a flight. A completion is taken in two steps: the first ends the
// flight, by compare-and-swap, and leaves its own index plus one in the word; the
// second moves the consumer index. Who finds the first step done, by the index in
// the word or because the chunk is not in flight, goes on to the second. So
// every completion counts once, although its chunk may fly again, and land again,
// before anyone has come to the second step.
//
// A full ring stops all senders until somebody reaps. With twice as many entries as
// there are TX chunks it is never full in practice: a chunk may fly again while its
// last completion is still in the ring, but then somebody is about to take that out.
//
// A SharedCompletion may be used by any number of threads; [SharedCompletion.Begin]
// and what goes with it only by the owner of the chunk.
type SharedCompletion struct {
	ring  Ring[uint64]
	words []uint32
	first uint32         // number in the UMEM of the chunk of words[0]
	shift uint32         // log2 of the chunk size
	step  func(word any) // called before each access to shared memory by tests that stop there; else nil
}

// inFlight is the bit that the owner sets.
const inFlight = 1

// NewSharedCompletion shares a COMPLETION ring. words is the shared memory with a word
// for each TX chunk, zero when the UMEM is made; that of words[0] is number first of
// the UMEM, whose chunks have chunk bytes.
func NewSharedCompletion(ring *Ring[uint64], words []uint32, first, chunk uint32) (*SharedCompletion, error) {
	if !powerOfTwo(chunk) || len(words) == 0 || len(words) > int(ring.size) {
		return nil, fmt.Errorf("xsk: shared COMPLETION ring of %d entries for %d chunks of %d bytes: 1 chunk to as many as entries, of a power of two of bytes",
			ring.size, len(words), chunk)
	}
	return &SharedCompletion{ring: *ring, words: words, first: first, shift: uint32(bits.TrailingZeros32(chunk))}, nil
}

// Busy reports whether chunk n of the UMEM is in flight.
func (c *SharedCompletion) Busy(n uint32) bool {
	word := &c.words[n-c.first]
	c.pause(word)
	return atomic.LoadUint32(word)&inFlight != 0
}

// Begin says that chunk n is in flight, before its descriptor is in the TX ring. The
// caller owns the chunk, and knows that it is not in flight.
func (c *SharedCompletion) Begin(n uint32) {
	word := &c.words[n-c.first]
	at := c.consumer()
	since := at << 1
	c.pause(word)
	ended := atomic.LoadUint32(word) &^ inFlight
	if ahead := (ended - since) >> 1; ahead-1 < c.ring.size && c.holds(at, ahead-1, n) {
		since = ended // the last flight's completion is in the ring, and must not count again
	}
	c.pause(word)
	begin(word, since|inFlight)
}

// holds reports whether the completion that is i behind the consumer index at is of
// chunk n.
func (c *SharedCompletion) holds(at, i, n uint32) bool {
	return c.producer()-at > i && c.load(at+i)>>c.shift == uint64(n)
}

// begin stores without a fence, which would cost more than all the rest: nobody
// else writes the word of a chunk that is not in flight, and the atomic store that
// publishes the descriptor orders the two. To the race detector it would look like a fault.
//
//go:norace
func begin(word *uint32, value uint32) { *word = value }

// Abandon ends the flight of chunk n whose completion will not come, because its
// socket is gone. Any member may call it then.
func (c *SharedCompletion) Abandon(n uint32) {
	atomic.AndUint32(&c.words[n-c.first], ^uint32(inFlight))
}

// Reap takes up to limit completions, and returns how many it took: none also where
// another member has been quicker. An address of no TX chunk is dropped.
func (c *SharedCompletion) Reap(limit int) int {
	at := c.consumer()
	n := c.producer() - at
	if n > c.ring.size {
		// Others have moved on meanwhile; or, if they have not, somebody lied, and the
		// newest completions are all that can be.
		c.move(at, at+n-c.ring.size)
		return 0
	}
	end := at + min(n, uint32(limit))
	p := at
	for p != end && c.land(p) {
		p++
	}
	return min(c.advance(p), limit) // more only by a lie
}

// land ends the flight that the completion at index p is of, or returns false where
// others have taken that completion out of the ring.
func (c *SharedCompletion) land(p uint32) bool {
	n := c.load(p)>>c.shift - uint64(c.first)
	if n >= uint64(len(c.words)) {
		return true
	}
	word := &c.words[n]
	c.pause(word)
	old := atomic.LoadUint32(word)
	// While the completion is still in the ring, entry and word belong together.
	if int32(c.consumer()-p) > 0 {
		return false
	}
	ended := (p + 1) << 1
	if old&inFlight != 0 && !c.reaches(old&^inFlight, ended) {
		c.pause(word)
		atomic.CompareAndSwapUint32(word, old, ended) // who was quicker did the same
	}
	return true
}

// reaches reports whether the index in a word is at or after another, in the manner of
// words: shifted by one. It is at most a ring ahead if so.
func (c *SharedCompletion) reaches(word, index uint32) bool {
	return word-index <= c.ring.size<<1
}

// advance moves the consumer index to p, and returns how far: 0 where others have
// moved it there or beyond. All completions before p have ended their flights.
func (c *SharedCompletion) advance(p uint32) int {
	for range c.ring.size {
		now := c.consumer()
		n := int32(p - now)
		if n <= 0 {
			break
		}
		if c.move(now, p) {
			return int(n)
		}
	}
	return 0
}

// move moves the consumer index, unless somebody has.
func (c *SharedCompletion) move(from, to uint32) bool {
	c.pause(c.ring.consumer)
	return atomic.CompareAndSwapUint32(c.ring.consumer, from, to)
}

func (c *SharedCompletion) consumer() uint32 {
	c.pause(c.ring.consumer)
	return atomic.LoadUint32(c.ring.consumer)
}

func (c *SharedCompletion) producer() uint32 {
	c.pause(c.ring.producer)
	return atomic.LoadUint32(c.ring.producer)
}

func (c *SharedCompletion) load(p uint32) uint64 {
	entry := c.ring.at(p)
	c.pause(entry)
	return atomic.LoadUint64(entry)
}

func (c *SharedCompletion) pause(word any) {
	if c.step != nil {
		c.step(word)
	}
}
