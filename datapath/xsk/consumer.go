// SPDX-License-Identifier: MIT

package xsk

import "sync/atomic"

// Consumer is the end of a ring at which entries are taken out: RX, and COMPLETION
// where it is not shared. It belongs to one thread at a time.
type Consumer[E Entry] struct {
	Ring[E]
	next     uint32 // the private copy of the consumer index
	produced uint32 // the producer index as last read
}

// NewConsumer takes up the consuming end of a ring where it stands.
func NewConsumer[E Entry](r *Ring[E]) *Consumer[E] {
	return &Consumer[E]{
		Ring:     *r,
		next:     atomic.LoadUint32(r.consumer),
		produced: atomic.LoadUint32(r.producer),
	}
}

// Peek copies the oldest entries of the ring into dst and returns their number.
// They stay in the ring until [Consumer.Release].
func (c *Consumer[E]) Peek(dst []E) int {
	n := min(c.available(len(dst)), len(dst))
	for i := range dst[:n] {
		dst[i] = *c.at(c.next + uint32(i))
	}
	return n
}

// available counts the entries that are known to be there, none where the producer
// is said to be where it cannot be. It looks again when they are fewer than wanted.
func (c *Consumer[E]) available(want int) int {
	if n := c.produced - c.next; n < uint32(want) || n > c.size {
		c.produced = atomic.LoadUint32(c.producer)
	}
	n := c.produced - c.next
	if n == 0 || n > c.size {
		c.insist()
		return 0
	}
	return int(n)
}

// insist says again how far this end has come: if somebody else has written there, the
// kernel may hold the ring for full, and will never put anything in.
func (c *Consumer[E]) insist() {
	if atomic.LoadUint32(c.consumer) != c.next {
		atomic.StoreUint32(c.consumer, c.next)
	}
}

// Release takes the n oldest entries out of the ring; n is at most what the latest
// Peek returned. The other end may overwrite them now.
func (c *Consumer[E]) Release(n int) {
	c.next += uint32(n)
	atomic.StoreUint32(c.consumer, c.next)
}
