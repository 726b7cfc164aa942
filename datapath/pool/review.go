// SPDX-License-Identifier: MIT

package pool

import (
	"time"

	"golang.org/x/sys/unix"
)

// wake asks for a review of all pools: somebody may be gone, or have left.
func (m *Member) wake() {
	select {
	case m.wakeups <- time.Now():
	default: // one is due already, and will see what is now
	}
}

// review looks after all pools, until the member is closed. It runs on no data thread.
func (m *Member) review() {
	var since time.Time
	for again := false; ; {
		var later <-chan time.Time
		if again {
			later = time.After(untilNextReview(since))
		}
		select {
		case <-m.done:
			return
		case since = <-m.wakeups:
		case <-later:
		}
		again = false
		for _, q := range m.pools() {
			unfinished := m.cleanUp(q, since) || !m.supply(q)
			again = again || unfinished
		}
	}
}

// untilNextReview is when to look again for those who are gone, but still have the lock of their
// seat, or whose seat somebody cleans up who may die himself: there is no event for all of that. It
// is soon as long as the kernel may be about to end somebody, which takes it tens of milliseconds.
func untilNextReview(since time.Time) time.Duration {
	if time.Since(since) < time.Second {
		return 2 * time.Millisecond
	}
	return time.Second
}

func (m *Member) pools() (queues []*Queue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, q := range m.queues {
		queues = append(queues, q)
	}
	return queues
}

// cleanUp does for a pool what dead members cannot, and forgets those who have gone.
// Whatever it does another member can go on with, at whichever instruction it dies. It reports
// whether there are members still to be cleaned up after.
func (m *Member) cleanUp(q *Queue, since time.Time) (orphans bool) {
	m.reviewing.Lock()
	defer m.reviewing.Unlock()
	if q.left {
		return false
	}
	if dead := q.inherit(); len(dead) > 0 {
		q.recover(dead, since)
		q.announce()
	}
	q.forget()
	q.insist()
	strange := q.estrange()
	missing, _ := q.unconnected()
	return len(missing) > 0 || strange
}

// inherit takes the locks of the seats whose owners are dead, and returns their sockets.
func (q *Queue) inherit() (dead []*sibling) {
	for _, s := range q.siblings() {
		// Who has a seat that is not free has its lock, if it lives; so has who cleans up.
		if q.tenureOf(s.seat) != s.tenure {
			continue
		}
		if ok, err := q.file.TryLock(seatAt+int64(s.seat), 1); !ok || err != nil {
			continue
		}
		if q.tenureOf(s.seat) == s.tenure {
			dead = append(dead, s)
		} else {
			q.unlock(s.seat)
		}
	}
	return dead
}

func (q *Queue) tenureOf(seat uint32) tenure { return tenure(q.control.seats[seat].owner.Load()) }

func (q *Queue) unlock(seat uint32) { _ = q.file.Unlock(seatAt+int64(seat), 1) }

// insist says again which seat is the member's own: somebody may have written there.
func (q *Queue) insist() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.present && q.tenureOf(q.number) != q.tenure {
		q.seat.owner.Store(uint32(q.tenure))
	}
}

// estrange frees the seats of owners whom nobody knows: whose lock nobody has, and whose socket this member
// has not come to have for so long that nobody who does can be there. Only a lie leaves such. It reports
// whether there are some that may be so.
func (q *Queue) estrange() (some bool) {
	for n := range q.control.seats {
		seat, t := uint32(n), q.tenureOf(uint32(n))
		if !q.isStrange(seat, t) {
			delete(q.strange, seat)
			continue
		}
		switch s, known := q.strange[seat]; {
		case !known || s.tenure != t:
			q.strange[seat] = stranger{t, time.Now()}
		case time.Since(s.since) > staleAfter && q.evict(seat, t):
			continue
		}
		some = true
	}
	return some
}

// isStrange reports whether a seat is said to be of somebody who is neither alive nor known.
func (q *Queue) isStrange(seat uint32, t tenure) bool {
	q.mu.Lock()
	known := q.isKnown(seat, t)
	q.mu.Unlock()
	if known {
		return false
	}
	_, held, err := q.file.Held(seatAt+int64(seat), 1, true)
	return !held && err == nil
}

// evict frees a seat, unless somebody has its lock after all.
func (q *Queue) evict(seat uint32, t tenure) bool {
	if ok, err := q.file.TryLock(seatAt+int64(seat), 1); !ok || err != nil {
		return false
	}
	q.control.seats[seat].owner.CompareAndSwap(uint32(t), uint32(t.next()))
	q.unlock(seat)
	return true
}

// stranger is who is said to have a seat, and since when that has been seen.
type stranger struct {
	tenure tenure
	since  time.Time
}

// announce tells all members to look who is in the pool. Who is stopped need not hear it:
// there is enough for it to read when it goes on.
func (q *Queue) announce() {
	for _, p := range q.member.others() {
		_ = p.tellSoon(message{Kind: ended, Topic: q.topic})
	}
}

// forget closes the sockets of members that are no more in the pool.
func (q *Queue) forget() {
	q.mu.Lock()
	all := q.others
	q.others = nil
	var gone []*sibling
	for _, s := range all {
		if q.stays(s) {
			q.others = append(q.others, s)
		} else {
			gone = append(gone, s)
		}
	}
	q.mu.Unlock()
	for _, s := range gone {
		_ = s.close()
	}
}

// stays reports whether the member whose socket it is is in the pool, or about to be.
func (q *Queue) stays(s *sibling) bool {
	t := q.tenureOf(s.seat)
	if t == s.tenure {
		return true
	}
	_, held, err := q.file.Held(seatAt+int64(s.seat), 1, true)
	return t.begins(s.tenure) && (held || err != nil)
}

// grace waits until no processor works on a packet that came before, and so until an
// entry that has been deleted from the program is not in use.
func grace() {
	const membarrierGlobal = 1 // MEMBARRIER_CMD_GLOBAL: an RCU grace period
	if _, _, err := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); err != 0 {
		time.Sleep(graceTime) // kernels with nohz_full have no such call, and nothing to wait for
	}
}

// graceTime is some times what a grace period takes on a busy machine.
const graceTime = 100 * time.Millisecond
