// SPDX-License-Identifier: MIT

package xdp

import (
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// Turn receives one batch and stores the datagrams in t, by socket. t.More asks
// for another turn.
func (q *Queue) Turn(ep *batch.Endpoint, t *batch.Turn) {
	t.Chain, t.Done = nil, nil
	t.Taken, t.Datagrams, t.Bytes, t.Dropped, t.Error = 0, 0, 0, 0, 0
	t.More, t.Connected, t.Disconnected, t.Deliveries = false, false, false, 0

	q.receiving.Lock() // nobody else is there, except who gives the seat up
	defer q.receiving.Unlock()
	if t.Events&unix.EPOLLERR != 0 {
		// The interface is down, or gone. Taking the error ends the event, which
		// would come again for ever.
		_, _ = unix.GetsockoptInt(q.seat.FD(), unix.SOL_SOCKET, unix.SO_ERROR)
	}
	if t.Events&unix.EPOLLOUT != 0 {
		q.resume()
	}
	limit := room(t)
	n := q.seat.Peek(limit)
	a := arrivals{q: q, ep: ep, turn: t, at: -1}
	for i := range n {
		a.packet(q.seat.Packet(i))
	}
	q.seat.Release()
	t.More = n == limit && n != 0
}

// room returns how many packets the blocks of a turn take, whatever their length.
func room(t *batch.Turn) int {
	packets := 0
	for _, b := range t.Block {
		if b != nil && packets < pool.MaxTurn {
			packets += min(batch.RxSlots, batch.IOBuffer/aligned(longestPacket))
		}
	}
	return min(packets, pool.MaxTurn)
}

// aligned is how far the buffer of a block is used up by a packet.
func aligned(n int) int { return (n + 15) &^ 15 }
