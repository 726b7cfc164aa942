// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"time"
)

// Leave gives the seat up. What is in RX is dropped, what is in TX is sent. Nobody may
// use the queue while it runs, or afterwards.
func (q *Queue) Leave() error {
	q.member.joining.Lock()
	defer q.member.joining.Unlock()
	if q.left {
		return ErrClosed
	}
	return q.leave()
}

// leave is Leave for who has joining.
func (q *Queue) leave() error {
	err := q.program.DeleteSocket(q.member.slot, q.topic.Queue)
	grace()
	for range q.shape.Ring { // a turn has one packet at least
		if q.Peek(MaxTurn) == 0 {
			break
		}
		q.Release()
	}
	q.flush()
	q.vanish()
	return errors.Join(err, q.close())
}

// flush sends what is left, and waits until it has been sent.
func (q *Queue) flush() {
	for deadline := time.Now().Add(staleAfter); ; time.Sleep(interval) {
		err := q.Kick()
		q.landed.Reap(int(q.shape.completion()))
		if err != nil || q.inFlight(q.number) == 0 || time.Now().After(deadline) {
			return
		}
	}
}

// inFlight counts the chunks of a seat that are in flight.
func (q *Queue) inFlight(seat uint32) (n int) {
	first := q.shape.Receive + seat*q.shape.Send
	for i := range q.shape.Send {
		if q.landed.Busy(first + i) {
			n++
		}
	}
	return n
}

// vanish takes back what appear did.
func (q *Queue) vanish() {
	m := q.member
	m.reviewing.Lock()
	defer m.reviewing.Unlock()
	q.seat.owner.Store(uint32(q.tenure.next()))
	m.mu.Lock()
	delete(m.queues, q.topic)
	m.mu.Unlock()
	q.looking.Lock()
	q.mu.Lock()
	q.left = true
	q.mu.Unlock()
	q.looking.Unlock()
	q.announce()
}
