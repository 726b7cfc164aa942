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
	for again := time.Duration(0); ; {
		var later <-chan time.Time
		if again > 0 {
			later = time.After(again)
		}
		select {
		case <-m.done:
			return
		case since = <-m.wakeups:
			again = reviewSoonest
		case <-later:
			again = min(2*again, reviewLatest)
		}
		orphans := false
		for _, q := range m.pools() {
			orphans = m.cleanUp(q, since) || orphans
		}
		if !orphans {
			again = 0
		}
	}
}

// When to look again for those who are gone, but still have the lock of their seat, or
// whose seat somebody cleans up who may die himself: there is no event for all of that.
const (
	reviewSoonest = time.Millisecond
	reviewLatest  = time.Second
)

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
	missing, _ := q.unconnected()
	return len(missing) > 0
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
