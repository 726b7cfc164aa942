// SPDX-License-Identifier: MIT

package xdp

import (
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/ossock"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Send sends the datagrams of tx, by the queue or by a kernel socket of the same
// port, which also has those that the queue does not take. It returns what
// [ossock.Send] does, and batch.ByQueue, ByKernel, NoRoom or NotTaken. In map mode there is no
// kernel socket, nil, and they are lost.
//
// The kick may be left for later: it says batch.Submitted then, and [Queue.Kick] is to follow.
func (q *Queue) Send(kernel *batch.Endpoint, tx *batch.Tx, later bool) (status int32, by uint8) {
	if kernel == nil {
		errno, by := q.transmitAlone(tx, later)
		return int32(errno), by
	}
	by = batch.ByKernel
	// The kernel would loop back what is for an address of this host.
	if !q.kernelSends || q.engine.net.own.has(ipOf(&tx.Remote)) {
		errno, sender := q.transmit(tx, later)
		switch errno {
		case 0:
			return 0, sender
		case unix.ENOBUFS:
			by = batch.NoRoom
		default:
			by = batch.NotTaken
		}
	}
	return ossock.Send(kernel, tx), by
}

// transmitAlone is transmit for who has nobody else to send by: the kernel is made to take
// what waits, if the ring has no room for more.
func (q *Queue) transmitAlone(tx *batch.Tx, later bool) (errno unix.Errno, by uint8) {
	errno, by = q.transmit(tx, later)
	if errno == unix.ENOBUFS {
		q.sending.Lock()
		errno = kerr.Errno(q.seat.Kick())
		q.sending.Unlock()
		if errno == 0 {
			errno, by = q.transmit(tx, later)
		}
	}
	return errno, by
}

// transmit puts the datagrams of tx on the wire, all or none. ENOBUFS says that the ring has no
// room. The kick is left for later unless the last one has failed: as long as the interface is down
// others have to send, and that must be known here.
func (q *Queue) transmit(tx *batch.Tx, later bool) (errno unix.Errno, by uint8) {
	flow := frame.Flow{
		SourceMAC: frame.MAC(tx.LocalMAC), DestinationMAC: frame.MAC(tx.NextHopMAC),
		Source: ipOf(&tx.Local), Destination: ipOf(&tx.Remote),
		SourcePort: tx.Local.PortNumber(), DestinationPort: tx.Remote.PortNumber(),
		TrafficClass: tx.TOS,
	}
	var h frame.Headers
	if h.Set(&flow) != nil {
		return unix.EAFNOSUPPORT, batch.NotTaken
	}
	q.sending.Lock()
	defer q.sending.Unlock()
	if errno := q.submit(tx, &h); errno != 0 {
		return errno, batch.NotTaken
	}
	if later && !q.failing {
		q.owed = true
		return 0, batch.Submitted
	}
	return q.push(), batch.ByQueue
}

// submit puts the datagrams of tx in the ring, all or none. What waits there for a kick may not
// keep it full.
func (q *Queue) submit(tx *batch.Tx, h *frame.Headers) unix.Errno {
	count := int(tx.Count)
	if q.seat.Reserve(count) < count && (!q.owed || q.push() != 0 || q.seat.Reserve(count) < count) {
		return unix.ENOBUFS
	}
	var off uint32
	for i, n := range tx.Length[:count] {
		payload := tx.Data[off : off+uint32(n)]
		off += uint32(n)
		room := q.seat.Frame(i)
		b := room[:h.Len()+copy(room[h.Len():], payload)]
		if h.Put(b, q.checksum) != nil {
			return unix.EMSGSIZE
		}
		q.outgoing[i] = pool.Outgoing{Length: uint32(len(b))}
		if q.checksum == frame.Partial { // the rest is asked for
			q.outgoing[i].ChecksumStart, q.outgoing[i].ChecksumOffset = uint16(h.ChecksumStart()), frame.ChecksumOffset
		}
	}
	q.seat.Submit(q.outgoing[:count])
	return 0
}

// Kick makes the kernel send what sends have left for later, and reports whether that was to do:
// another thread's kick may have taken them along. When it fails they wait until the interface is up
// again, and the next send is told.
func (q *Queue) Kick() bool {
	q.sending.Lock()
	defer q.sending.Unlock()
	if !q.owed {
		return false
	}
	q.push()
	return true
}

// push makes the kernel send what has been submitted. It takes some at a time, and none
// while the device is busy: then the socket says when to go on.
func (q *Queue) push() unix.Errno {
	q.owed = false
	for before := 0; ; {
		errno := kerr.Errno(q.seat.Kick())
		left := q.seat.Backlog()
		if errno != 0 || left == 0 || left == before {
			q.await(errno == 0 && left != 0)
			q.failing = errno != 0
			return errno
		}
		before = left
	}
}

// await says whether the worker is to go on when the socket has room.
func (q *Queue) await(room bool) {
	if room != q.awaiting && q.endpoint != nil {
		q.awaiting = room
		ossock.WatchRoom(q.endpoint, room)
	}
}

// resume goes on with what the kernel has not taken before.
func (q *Queue) resume() {
	q.sending.Lock()
	defer q.sending.Unlock()
	q.push()
}
