// SPDX-License-Identifier: MIT

package xsk

import "sync/atomic"

// Producer is the end of a ring at which entries are put in: TX, and FILL where it
// is not shared. It belongs to one thread at a time.
type Producer[E Entry] struct {
	Ring[E]
	next     uint32 // the private copy of the producer index
	consumed uint32 // the consumer index as last read
}

// NewProducer takes up the producing end of a ring where it stands.
func NewProducer[E Entry](r *Ring[E]) *Producer[E] {
	return &Producer[E]{
		Ring:     *r,
		next:     atomic.LoadUint32(r.producer),
		consumed: atomic.LoadUint32(r.consumer),
	}
}

// Reserve returns for how many entries there is room, at most want.
func (p *Producer[E]) Reserve(want int) int {
	if free := p.free(); free >= want {
		return want
	}
	p.consumed = atomic.LoadUint32(p.consumer)
	return min(want, p.free())
}

// free counts the entries that are known to be free, none where the consumer is
// said to be where it cannot be.
func (p *Producer[E]) free() int {
	used := p.next - p.consumed
	if used > p.size {
		return 0
	}
	return int(p.size - used)
}

// Submit puts entries in, as many as there is room for, and returns their number.
// The other end sees all of them at once.
func (p *Producer[E]) Submit(entries []E) int {
	n := p.Reserve(len(entries))
	for i := range entries[:n] {
		*p.at(p.next + uint32(i)) = entries[i]
	}
	p.next += uint32(n)
	atomic.StoreUint32(p.producer, p.next)
	return n
}

// Len returns how many entries the other end has not taken.
func (p *Producer[E]) Len() int {
	p.consumed = atomic.LoadUint32(p.consumer)
	return int(p.size) - p.free()
}
