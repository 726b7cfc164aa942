// SPDX-License-Identifier: MIT

package xdp

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
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

// arrivals sorts the packets of a turn.
type arrivals struct {
	q    *Queue
	ep   *batch.Endpoint
	turn *batch.Turn
	tail [batch.Deliveries]**batch.RecvData

	// The block being filled:
	at    int // its index in the turn, -1 before the first
	block *batch.Rx
	slot  uint32
	used  int // bytes of its buffer

	// The latest datagram, which the next is mostly like:
	flow  frame.Flow
	route *batch.Route // nil before the first
}

// packet takes one packet.
func (a *arrivals) packet(shared []byte) {
	if len(shared) == 0 || len(shared) > longestPacket {
		a.turn.Dropped++ // said by somebody who lies
		return
	}
	a.begin(len(shared))
	// Copied before it is looked at: others can write to where it was.
	private := a.block.Bytes()[a.used : a.used+len(shared)]
	copy(private, shared)
	var p frame.Packet
	if frame.Parse(private, &p) != frame.OK || p.Length == 0 {
		a.turn.Dropped++
		return
	}
	payload := private[p.Offset : p.Offset+p.Length]
	r := a.q.engine.demux.find(&p, payload)
	if r == nil {
		a.turn.Dropped++ // its socket has just gone
		return
	}
	a.append(a.delivery(r.queue), a.partition(r, &p), &p, payload)
	a.used += aligned(len(shared))
}

// begin goes on to the next block where this one cannot take n bytes more.
func (a *arrivals) begin(n int) {
	if a.at >= 0 && a.slot < batch.RxSlots && a.used+n <= batch.IOBuffer {
		return
	}
	for a.at++; a.turn.Block[a.at] == nil; a.at++ { // there is one more: see room
	}
	a.block, a.slot, a.used = a.turn.Block[a.at], 0, 0
	a.block.Pending = 0
}

// delivery returns the index of a socket's chain.
func (a *arrivals) delivery(queue unsafe.Pointer) int {
	n := int(a.turn.Deliveries)
	for i := n - 1; i >= 0; i-- {
		if a.turn.Delivery[i].Queue == queue {
			return i
		}
	}
	a.turn.Delivery[n] = batch.Delivery{Queue: queue}
	a.tail[n] = &a.turn.Delivery[n].Chain
	a.turn.Deliveries++
	return n
}

// partition chooses whose workers are to have a datagram. One flow alone is quickest
// with the worker that receives.
func (a *arrivals) partition(r *receiver, p *frame.Packet) uint16 {
	flow := flowOf(p)
	if !a.q.crowd.note(flow) || len(r.partitions) == 0 {
		return a.ep.Partition
	}
	return r.partitions[uint64(flow)*uint64(len(r.partitions))>>32]
}

// append describes a datagram in the next slot of the block.
func (a *arrivals) append(delivery int, partition uint16, p *frame.Packet, payload []byte) {
	s := a.block.Slot(a.slot)
	s.Block = a.block
	r := &s.Route
	if a.route != nil && a.flow == p.Flow {
		*r = *a.route
	} else {
		a.describe(r, p)
		a.flow = p.Flow
	}
	a.route = r
	d := &s.Data
	d.Next = nil
	d.Route = r
	d.Buffer = unsafe.Pointer(&payload[0])
	d.Length = uint16(len(payload))
	d.Partition = partition
	d.TOS, d.TTL = p.TrafficClass, p.HopLimit
	d.Flags = batch.RecvAllocatedRaw
	*a.tail[delivery], a.tail[delivery] = d, &d.Next
	a.slot++
	a.block.Pending++
	a.turn.Taken |= 1 << a.at
	a.turn.Datagrams++
	a.turn.Bytes += uint32(len(payload))
}

// describe writes the way back to where a datagram came from.
func (a *arrivals) describe(r *batch.Route, p *frame.Packet) {
	*r = batch.Route{
		Queue:    a.ep.Queue,
		LocalMAC: p.DestinationMAC, NextHopMAC: p.SourceMAC,
		Type: batch.DatapathRaw, State: batch.RouteResolved,
	}
	setAddr(&r.Remote, &p.Source, p.SourcePort)
	setAddr(&r.Local, &p.Destination, p.DestinationPort)
	r.Local.Scope = uint32(a.q.ifindex) // where it came, as kernel sockets have it
	if netip.AddrFrom16(p.Source).IsLinkLocalUnicast() {
		r.Remote.Scope = uint32(a.q.ifindex)
	}
}
