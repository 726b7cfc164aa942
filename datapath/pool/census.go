// SPDX-License-Identifier: MIT

package pool

import (
	"fmt"
	"slices"
	"time"
)

// Census says where the chunks of a pool are. While packets come, chunks move as
// they are counted.
type Census struct {
	Idle    int // chunks to receive into that nobody needs yet
	Receive int // the others; the next three add up to it
	Fill    int // with the kernel, in FILL
	Ring    int // in RX rings, this member's included
	// Missing are nowhere. The kernel keeps one for the next packet after it has found an RX ring
	// full. More are lost.
	Missing int

	// Twice are in two places: while packets come, those that moved; else a fault.
	Twice int

	Send     int // chunks to send
	InFlight int // of them

	Seats []SeatCensus // that are taken
}

// SeatCensus is the part of a [Census] that is of one seat.
type SeatCensus struct {
	Seat, Slot     int
	Ring, InFlight int
	Known          bool // its RX ring could be looked at
}

// String is the census in a line.
func (c Census) String() string {
	return fmt.Sprintf("receive %d, and %d idle: fill %d, rings %d, missing %d, twice %d; send %d: in flight %d; seats %v",
		c.Receive, c.Idle, c.Fill, c.Ring, c.Missing, c.Twice, c.Send, c.InFlight, c.Seats)
}

// Audit counts the chunks of a pool in which the member is, without disturbing anybody.
func (m *Member) Audit(ifindex, queue int) (Census, error) {
	m.mu.Lock()
	q := m.queues[topic{Ifindex: uint32(ifindex), Queue: uint32(queue), Pool: 1}]
	m.mu.Unlock()
	c, ok := q.census()
	if !ok {
		return Census{}, fmt.Errorf("pool: the member is not in the pool of interface %d, queue %d", ifindex, queue)
	}
	return c, nil
}

// census counts until everything is where it belongs, or some times. It fails when the member is not in the
// pool, or q is nil.
func (q *Queue) census() (c Census, ok bool) {
	for turn := range censusTurns {
		if turn > 0 {
			time.Sleep(time.Millisecond)
		}
		whole := false
		if ok = q.inside(func() { c, whole = q.count() }); !ok || whole && c.Missing == 0 && c.Twice == 0 {
			break
		}
	}
	return c, ok
}

// inside does something for which the member must be in the pool, while others come, go and are
// cleaned up after. It reports whether it could.
func (q *Queue) inside(do func()) bool {
	if q == nil {
		return false
	}
	q.looking.RLock()
	defer q.looking.RUnlock()
	if q.left {
		return false
	}
	do()
	return true
}

// censusTurns is how often to count anew while members come or go, or a processor has chunks
// in its hands.
const censusTurns = 6

// count looks at the rings first, since chunks go from them to FILL, and to nowhere else. What
// the kernel takes from FILL meanwhile still counts there: FILL remembers it. It reports
// whether the same members were there all the time.
func (q *Queue) count() (c Census, whole bool) {
	before := q.tenures()
	c = Census{Receive: int(q.shape.Receive), Send: int(q.shape.sending())}
	taken := q.trail.taken()
	found := make([]uint8, q.shape.Receive)
	note := func(chunks []uint64, n *int) {
		for _, chunk := range chunks {
			if f := &found[chunk/chunkSize]; *f == 0 {
				*f = 1
				*n++
			} else {
				c.Twice++
			}
		}
	}
	rings := map[tenure]int{q.tenure: 0}
	q.mu.Lock()
	n := 0
	note(q.chunksOf(q.socket.RX.Pending(nil)), &n)
	rings[q.tenure] = n
	for _, s := range q.others {
		if before[s.seat] != s.tenure {
			continue // cleaned up after
		}
		n := 0
		note(q.chunksOf(s.ring.Pending(nil)), &n)
		rings[s.tenure] = n
	}
	q.mu.Unlock()
	q.fill.Help()
	given := q.trail.since(taken, nil)
	inRange := given[:0]
	for _, chunk := range given {
		if chunk/chunkSize < uint64(q.shape.Receive) {
			inRange = append(inRange, chunk)
		}
	}
	note(inRange, &c.Fill)
	for _, n := range rings {
		c.Ring += n
	}
	c.Idle = c.Receive - c.Fill - c.Ring
	for _, chunk := range q.due() {
		if found[chunk/chunkSize] == 0 {
			c.Missing++
			c.Idle--
		}
	}
	c.Receive -= c.Idle
	for i, t := range before {
		busy := q.inFlight(uint32(i))
		c.InFlight += busy
		if slot, taken := t.slot(); taken {
			ring, known := rings[t]
			c.Seats = append(c.Seats, SeatCensus{Seat: i, Slot: int(slot), Ring: ring, InFlight: busy, Known: known})
		}
	}
	return c, slices.Equal(before, q.tenures())
}

// tenures returns what the seats say.
func (q *Queue) tenures() []tenure {
	tenures := make([]tenure, q.shape.Members)
	for i := range tenures {
		tenures[i] = q.tenureOf(uint32(i))
	}
	return tenures
}
