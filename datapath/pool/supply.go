// SPDX-License-Identifier: MIT

package pool

// A pool has chunks for the RX rings of all members that there can be. All of them going round
// through FILL would be more than a processor's cache holds, and every packet would be written to
// memory that was used long ago. So only those go round that are due: the spare ones, and those of
// seats that have ever been taken. A device that has rings of its own to fill gets all.

// due returns the chunks that are to go round.
func (q *Queue) due() (chunks []uint64) {
	zeroCopy, err := q.ZeroCopy()
	for n := range q.shape.Receive {
		seat, home := q.shape.home(n)
		if !home || zeroCopy || err != nil || q.tenureOf(seat) != 0 {
			chunks = append(chunks, uint64(n)*chunkSize)
		}
	}
	return chunks
}

// supply gives to FILL what is due and nowhere: the chunks of a seat that has been taken for the
// first time, and those that somebody lost, when FILL has gone round since. (What is still in
// the memory of FILL the kernel may have in its hands, see missing.) The caller is at the door of the
// queue, so that no two do so at a time. It reports whether it could: it must know all members,
// in whose RX rings chunks may be.
func (q *Queue) supply() bool {
	if !q.knowsAll() {
		return false
	}
	q.fill.Push(q.missing(q.due(), q.trail.put()-q.shape.fill(), nil, nil))
	return true
}

// knowsAll reports whether there is nobody in the pool, alive or dead, whose socket is not known.
func (q *Queue) knowsAll() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n := range q.control.seats {
		t := q.tenureOf(uint32(n))
		if !t.free() && t != q.tenure && q.knows(t) == nil {
			return false
		}
	}
	return true
}

// replenish is supply for who is not at the door. It reports whether to come again, since somebody
// else is there.
func (m *Member) replenish(q *Queue) (again bool) {
	if !m.joining.TryLock() { // our own Join may be at the door, with the same file
		return true
	}
	defer m.joining.Unlock()
	m.reviewing.Lock()
	defer m.reviewing.Unlock()
	if q.left {
		return false
	}
	ok, err := knock(q.file, m.dir, q.topic.lockFile())
	if err != nil {
		return false
	}
	if ok {
		ok = q.supply()
	}
	_ = leave(q.file)
	return !ok
}
