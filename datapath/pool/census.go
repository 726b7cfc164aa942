// SPDX-License-Identifier: MIT

package pool

import (
	"fmt"
	"time"
)

// Census says where the chunks of a pool are. While packets come, chunks move as
// they are counted.
type Census struct {
	Receive int // chunks to receive into; the next four add up to it
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
	return fmt.Sprintf("receive %d: fill %d, rings %d, missing %d, twice %d; send %d: in flight %d; seats %v",
		c.Receive, c.Fill, c.Ring, c.Missing, c.Twice, c.Send, c.InFlight, c.Seats)
}

// Audit counts the chunks of a pool in which the member is, without disturbing anybody.
func (m *Member) Audit(ifindex, queue int) (Census, error) {
	m.mu.Lock()
	q := m.queues[topic{Ifindex: uint32(ifindex), Queue: uint32(queue), Pool: 1}]
	m.mu.Unlock()
	m.reviewing.Lock()
	defer m.reviewing.Unlock()
	if q == nil || q.left {
		return Census{}, fmt.Errorf("pool: the member is not in the pool of interface %d, queue %d", ifindex, queue)
	}
	c := q.count()
	for range censusTurns { // for those that a processor had in its hands
		if c.Missing == 0 {
			break
		}
		time.Sleep(time.Millisecond)
		if again := q.count(); again.Missing < c.Missing {
			c = again
		}
	}
	return c, nil
}

const censusTurns = 3

// count looks at the rings first, since chunks go from them to FILL, and to nowhere else. What
// the kernel takes from FILL meanwhile still counts there: FILL remembers it.
func (q *Queue) count() Census {
	c := Census{Receive: int(q.shape.Receive), Send: int(q.shape.sending())}
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
	c.Missing = c.Receive - c.Fill - c.Ring
	for i := range q.shape.Members {
		busy := q.inFlight(i)
		c.InFlight += busy
		t := q.tenureOf(i)
		if slot, taken := t.slot(); taken {
			ring, known := rings[t]
			c.Seats = append(c.Seats, SeatCensus{Seat: int(i), Slot: int(slot), Ring: ring, InFlight: busy, Known: known})
		}
	}
	return c
}
