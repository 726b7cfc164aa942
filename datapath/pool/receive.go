// SPDX-License-Identifier: MIT

package pool

import "github.com/msquicxdp/msquicxdp/datapath/xsk"

// MaxTurn is how many packets a receive turn or a send has at most.
const MaxTurn = 64

// receiving is what belongs to the thread that receives.
type receiving struct {
	descs    [MaxTurn]xsk.Desc // of the turn
	chunks   [MaxTurn]uint64
	n        int
	released uint32 // the RX index
	invalid  uint64
	lost     uint64
}

// Peek begins a receive turn: it returns how many packets there are, at most limit
// and [MaxTurn]. Where there are any the turn ends with [Queue.Release].
func (q *Queue) Peek(limit int) int {
	q.n = q.socket.RX.Peek(q.descs[:min(max(limit, 0), MaxTurn)])
	return q.n
}

// Packet returns packet i of the turn, nil where a descriptor cannot be. It is
// memory that other processes may change at any time, and valid until Release: copy it
// first, then look at it.
func (q *Queue) Packet(i int) []byte {
	packet, chunk, ok := q.packets.Packet(q.descs[i])
	if !ok || chunk >= q.shape.Receive {
		return nil
	}
	return packet
}

// Release ends the turn, and gives its chunks back: first to FILL, then from RX, so that
// they are in one of them whenever this process ends.
func (q *Queue) Release() {
	chunks := q.chunks[:0]
	for i := range q.descs[:q.n] {
		if n := q.descs[i].Addr / chunkSize; n < uint64(q.shape.Receive) {
			chunks = append(chunks, n*chunkSize)
		}
	}
	q.seat.turn.Store(uint64(newTurn(q.trail.put(), q.released, q.n)))
	q.at(beforePush)
	pushed := q.fill.Push(chunks)
	q.at(afterPush)
	q.socket.RX.Release(q.n)
	q.at(afterRelease)
	q.released += uint32(q.n)
	q.invalid += uint64(q.n - len(chunks))
	q.lost += uint64(len(chunks) - pushed)
	q.n = 0
	if q.fill.NeedWakeup() {
		q.socket.Receive()
	}
}
