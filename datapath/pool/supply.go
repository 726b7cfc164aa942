// SPDX-License-Identifier: MIT

package pool

import "slices"

// A pool has chunks for the RX rings of all members that there can be. All of them going round
// through FILL would be more than a processor's cache holds, and every packet would be written to
// memory that was used long ago. So only those go round that are due: the spare ones, and those of
// seats that have ever been taken. A device that has rings of its own to fill gets all.

// due returns the chunks that are to go round.
func (q *Queue) due() (chunks []uint64) {
	for n := range q.shape.Receive {
		seat, home := q.shape.home(n)
		if !home || q.zeroCopy || q.tenureOf(seat) != 0 {
			chunks = append(chunks, uint64(n)*chunkSize)
		}
	}
	return chunks
}

// inHands is more than the kernel has in its hands where it copies: the chunks of the packet that it
// is at, or what it took for one that found no room. Those it took last.
const inHands = 64

// unaccounted returns the index in FILL from which on its chunks are not lost: they are in the ring, or
// the kernel may have them in its hands. A device may have had them for long.
func (q *Queue) unaccounted() uint32 {
	put, taken := q.trail.put(), q.trail.taken()
	if q.zeroCopy || put-taken > q.shape.Receive { // or somebody lied
		return put - q.shape.fill()
	}
	return taken - inHands
}

// supply gives to FILL what is lost. It reports whether it could: nobody else may be at it. Where
// nothing is lost it does not ask for the lock, which who is stopped there would keep from others.
func (m *Member) supply(q *Queue) bool {
	m.reviewing.Lock()
	defer m.reviewing.Unlock()
	if q.left {
		return true
	}
	if chunks, sure := q.astray(); !sure || len(chunks) == 0 {
		return sure
	}
	if ok, err := q.file.TryLock(supplyAt, 1); !ok || err != nil {
		return false
	}
	defer q.file.Unlock(supplyAt, 1)
	chunks, sure := q.astray()
	if sure {
		q.fill.Push(chunks)
	}
	return sure
}

// astray returns the chunks that are due and nowhere: those of a seat that has been taken for the first
// time, and those that somebody lost. It is sure of them if it knew all members all the time, in whose
// RX rings chunks may be: this process may have been stopped meanwhile.
func (q *Queue) astray() (chunks []uint64, sure bool) {
	before := q.tenures()
	if !q.knowsAll() {
		return nil, false
	}
	chunks = q.missing(q.due(), q.unaccounted(), nil, nil)
	return chunks, slices.Equal(before, q.tenures())
}

// knowsAll reports whether there is nobody in the pool, alive or dead, whose socket is not known.
func (q *Queue) knowsAll() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n := range q.control.seats {
		if !q.isKnown(uint32(n), q.tenureOf(uint32(n))) {
			return false
		}
	}
	return true
}
