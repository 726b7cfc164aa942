// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"math/bits"
	"sync/atomic"
)

// SharedFill is a FILL ring into which any number of threads and processes give
// chunks back at the same time. It holds no lock: who is killed or stopped at any
// instruction holds up nobody.
//
// The kernel ignores where in a chunk an address points (aligned chunks), so those
// low bits say for which lap around the ring an entry has been written. To push
// is to replace, by compare-and-swap, the entry at the producer index by one of this lap,
// and then to move the producer index. Who finds an entry of this lap at the
// producer index knows that its writer has not come to the second step, does it for
// him, and goes on behind it.
//
// A chunk must be in the ring once at most. With more entries than there are chunks
// the ring is then never full, whatever the kernel has yet to say about what it
// has taken: it moves the consumer index later than it takes entries, by as much
// as a whole batch. All members must see the same size and the same chunk.
//
// A SharedFill may be used by any number of threads.
type SharedFill struct {
	ring Ring[uint64]
	lap  uint64         // the bits of an entry that hold the lap number: chunk size - 1
	bits uint32         // log2 of the ring size
	step func(word any) // called before each access to shared memory by tests that stop there; else nil
}

// NewSharedFill shares a FILL ring that has never been used by anything else.
// chunk is the chunk size of the UMEM, a power of two.
func NewSharedFill(ring *Ring[uint64], chunk uint32) (*SharedFill, error) {
	if chunk < 2 || !powerOfTwo(chunk) || uint64(ring.size)*uint64(chunk) > 1<<32 {
		return nil, fmt.Errorf("xsk: shared FILL ring of %d entries with chunks of %d bytes: the product must be a power of two up to 2^32", ring.size, chunk)
	}
	return &SharedFill{ring: *ring, lap: uint64(chunk - 1), bits: uint32(bits.TrailingZeros32(ring.size))}, nil
}

// Push gives chunks to the kernel, each named by any address in it, and returns how
// many. It stops short only where the ring says that it is full, or does not come
// to rest, neither of which happens unless somebody writes lies into it; the rest
// is then best forgotten, and found again by an audit.
func (f *SharedFill) Push(chunks []uint64) int {
	pushed := 0
	p := f.producer()
	for attempts := len(chunks) + 4*int(f.ring.size); pushed < len(chunks) && attempts > 0; attempts-- {
		entry := f.ring.at(p)
		f.pause(entry)
		old := atomic.LoadUint64(entry)
		if f.written(p, old) {
			p++
			continue
		}
		// Unless the producer index has passed p, old is what the last lap left there.
		if now := f.producer(); int32(now-p) > 0 {
			p = now
			continue
		}
		if int32(p-f.Taken()) >= int32(f.ring.size) {
			break
		}
		f.pause(entry)
		if atomic.CompareAndSwapUint64(entry, old, chunks[pushed]&^f.lap|f.tag(p)) {
			pushed++
			p++
		}
	}
	f.publish(p)
	return pushed
}

// Help publishes what others have written and not come to publish.
func (f *SharedFill) Help() {
	p := f.producer()
	for range f.ring.size {
		entry := f.ring.at(p)
		f.pause(entry)
		if !f.written(p, atomic.LoadUint64(entry)) {
			break
		}
		p++
	}
	f.publish(p)
}

// Pending helps, and appends the chunks in the ring to dst, oldest first. It is
// exact while the kernel is kept from the ring; else it may also name chunks that
// the kernel has just taken.
func (f *SharedFill) Pending(dst []uint64) []uint64 {
	f.Help()
	before := len(dst)
	dst = f.ring.Pending(dst)
	for i := before; i < len(dst); i++ {
		dst[i] &^= f.lap
	}
	return dst
}

// Taken returns the kernel's index: how many chunks it has taken, modulo 2^32.
func (f *SharedFill) Taken() uint32 {
	f.pause(f.ring.consumer)
	return atomic.LoadUint32(f.ring.consumer)
}

// NeedWakeup reports whether the kernel sleeps until [Socket.Receive] tells it of
// new chunks. Copy mode never does.
func (f *SharedFill) NeedWakeup() bool { return f.ring.NeedWakeup() }

// publish moves the producer index to p, or leaves it where others have moved it
// beyond. All entries before p have been written for their laps.
func (f *SharedFill) publish(p uint32) {
	for range f.ring.size {
		now := f.producer()
		if int32(p-now) <= 0 {
			return
		}
		f.pause(f.ring.producer)
		if atomic.CompareAndSwapUint32(f.ring.producer, now, p) {
			return
		}
	}
}

// tag returns the lap number of an index, as it stands in the low bits of an entry.
// The first lap has number 1, since the kernel makes rings of zeros.
func (f *SharedFill) tag(p uint32) uint64 { return uint64(p>>f.bits+1) & f.lap }

func (f *SharedFill) written(p uint32, entry uint64) bool { return entry&f.lap == f.tag(p) }

func (f *SharedFill) producer() uint32 {
	f.pause(f.ring.producer)
	return atomic.LoadUint32(f.ring.producer)
}

func (f *SharedFill) pause(word any) {
	if f.step != nil {
		f.step(word)
	}
}
