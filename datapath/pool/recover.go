// SPDX-License-Identifier: MIT

package pool

import (
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
)

// recover gives the chunks in the RX rings of dead members back, and frees their seats,
// whose locks the caller has and recover opens.
//
// It goes on with their receive turns, without looking at packets. Nothing is taken from
// the others, who receive and send meanwhile. What the dead had to send stays where it is:
// see sending.
func (q *Queue) recover(dead []*sibling, since time.Time) {
	refused := make([]error, len(dead))
	for i, s := range dead {
		refused[i] = q.takeOut(s)
	}
	grace()
	for i, s := range dead {
		slot, _ := s.tenure.slot()
		e := Event{Kind: Recovered, Peer: Peer{Slot: slot}, Ifindex: int(q.topic.Ifindex), Queue: int(q.topic.Queue), Err: refused[i]}
		if e.Err == nil {
			e.Chunks = q.finish(s)
			e.Err = q.clearSlot(slot)
		}
		q.unlock(s.seat)
		e.Duration = time.Since(since)
		q.member.events.add(e)
	}
}

// takeOut ends that the kernel gives packets to a dead member.
func (q *Queue) takeOut(dead *sibling) error {
	if p, ok := q.program.Program.(Scattered); ok {
		return p.DeleteOther(dead.in, q.topic.Queue)
	}
	slot, _ := dead.tenure.slot()
	return q.program.DeleteSocket(slot, q.topic.Queue)
}

// finish goes on with the receive turns of a dead member whose RX ring is at rest:
// with the one that it was in, and then with one turn for all the rest. Since each
// is in the seat's word, somebody else can go on in the same way when this process
// dies in the middle. Then the seat is free.
func (q *Queue) finish(dead *sibling) (chunks int) {
	s := &q.control.seats[dead.seat]
	released := dead.trail.taken()
	descs := dead.ring.Pending(nil)
	begun := turn(s.turn.Load())
	from, to := begun.of(released, len(descs))
	if from < to {
		chunks = q.fill.Push(q.missing(q.chunksOf(descs[from:to]), begun.given(), dead, descs[to:]))
	}
	q.at(afterMissing)
	s.turn.Store(uint64(newTurn(q.trail.put(), released+uint32(to), len(descs)-to)))
	q.at(beforeRest)
	chunks += q.fill.Push(q.chunksOf(descs[to:]))
	q.at(afterRest)
	s.owner.Store(uint32(dead.tenure.next()))
	return chunks
}

// missing returns those chunks that have not been pushed since a FILL index.
//
// A chunk that has been pushed is in the memory of FILL, where the kernel leaves what
// it takes; or, if that has been overwritten meanwhile, in an RX ring. The rings are
// looked at first, since chunks go from them to FILL.
func (q *Queue) missing(maybe []uint64, since uint32, dead *sibling, rest []xsk.Desc) (missing []uint64) {
	for turns := patientTurns; ; turns-- {
		before := q.trail.put()
		elsewhere := make([]bool, q.shape.chunks())
		note := func(descs []xsk.Desc) {
			for _, chunk := range q.chunksOf(descs) {
				elsewhere[chunk/chunkSize] = true
			}
		}
		note(rest)
		note(q.socket.RX.Pending(nil))
		for _, s := range q.siblings() {
			if s != dead {
				note(s.ring.Pending(nil))
			}
		}
		q.fill.Help() // with what has been written and not published
		for _, chunk := range q.trail.since(since, nil) {
			if n := chunk / chunkSize; n < uint64(len(elsewhere)) {
				elsewhere[n] = true
			}
		}
		if turns > 0 && q.trail.put()-before > q.shape.fill()/2 {
			continue // so slow that what a ring has given back meanwhile may be overwritten
		}
		for _, chunk := range maybe {
			if !elsewhere[chunk/chunkSize] {
				missing = append(missing, chunk)
			}
		}
		return missing
	}
}

// patientTurns bounds what lies about FILL can do.
const patientTurns = 10

// chunksOf returns the addresses of the chunks that descriptors name, without those that
// no kernel writes.
func (q *Queue) chunksOf(descs []xsk.Desc) (chunks []uint64) {
	for _, d := range descs {
		if n := d.Addr / chunkSize; n < uint64(q.shape.Receive) {
			chunks = append(chunks, n*chunkSize)
		}
	}
	return chunks
}

// clearSlot removes a dead member's rules, unless somebody has its slot, who has done so
// before it had any: it may be this member.
func (q *Queue) clearSlot(slot uint32) error {
	if slot == q.member.slot {
		return nil
	}
	ok, err := q.member.file.TryLock(slotAt+int64(slot), 1)
	if !ok || err != nil {
		return err
	}
	err = q.program.ClearSlot(slot)
	_ = q.member.file.Unlock(slotAt+int64(slot), 1)
	return err
}
