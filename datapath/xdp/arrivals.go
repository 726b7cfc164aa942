// SPDX-License-Identifier: MIT

package xdp

import (
	"net/netip"
	"unsafe"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

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
	train    frame.Train
	to       lookup
	delivery int          // index of the chain of its socket
	flow     uint32       // number of its flow
	route    *batch.Route // nil if none of its flow came before
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
	verdict, same := a.train.Parse(private)
	if !same {
		a.to.forget()
		a.route = nil
	}
	p := &a.train.Packet
	if verdict != frame.OK || p.Length == 0 {
		a.turn.Dropped++
		return
	}
	payload := private[p.Offset : p.Offset+p.Length]
	if !a.to.goesOn(payload) && !a.find(payload) {
		a.turn.Dropped++ // its socket has just gone
		return
	}
	a.append(payload)
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

// find looks for the socket of a datagram, and reports whether there is one.
func (a *arrivals) find(payload []byte) bool {
	if !a.to.find(&a.q.engine.demux, &a.train.Packet, payload) {
		return false
	}
	a.delivery = a.deliveryOf(a.to.found.queue)
	a.flow = flowOf(&a.train.Packet)
	return true
}

// deliveryOf returns the index of a socket's chain.
func (a *arrivals) deliveryOf(queue unsafe.Pointer) int {
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
func (a *arrivals) partition() uint16 {
	partitions := a.to.found.partitions
	if !a.q.crowd.note(a.flow) || len(partitions) == 0 {
		return a.ep.Partition
	}
	return partitions[uint64(a.flow)*uint64(len(partitions))>>32]
}

// append describes a datagram in the next slot of the block.
func (a *arrivals) append(payload []byte) {
	s := a.block.Slot(a.slot)
	s.Block = a.block
	r := &s.Route
	if a.route != nil {
		*r = *a.route
	} else {
		a.describe(r, &a.train.Flow)
	}
	a.route = r
	d := &s.Data
	d.Next = nil
	d.Route = r
	d.Buffer = unsafe.Pointer(&payload[0])
	d.Length = uint16(len(payload))
	d.Partition = a.partition()
	d.TOS, d.TTL = a.train.TrafficClass, a.train.HopLimit
	d.Flags = batch.RecvAllocatedRaw
	tail := &a.tail[a.delivery]
	**tail, *tail = d, &d.Next
	a.slot++
	a.block.Pending++
	a.turn.Taken |= 1 << a.at
	a.turn.Datagrams++
	a.turn.Bytes += uint32(len(payload))
}

// describe writes the way back to where the datagrams of a flow come from.
func (a *arrivals) describe(r *batch.Route, f *frame.Flow) {
	*r = batch.Route{
		Queue:    a.ep.Queue,
		LocalMAC: f.DestinationMAC, NextHopMAC: f.SourceMAC,
		Type: batch.DatapathRaw, State: batch.RouteResolved,
	}
	setAddr(&r.Remote, &f.Source, f.SourcePort)
	setAddr(&r.Local, &f.Destination, f.DestinationPort)
	r.Local.Scope = uint32(a.q.ifindex) // where it came, as kernel sockets have it
	if netip.AddrFrom16(f.Source).IsLinkLocalUnicast() {
		r.Remote.Scope = uint32(a.q.ifindex)
	}
}
