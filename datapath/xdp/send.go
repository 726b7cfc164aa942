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
func (q *Queue) Send(kernel *batch.Endpoint, tx *batch.Tx) (status int32, by uint8) {
	if kernel == nil {
		return int32(q.transmitAlone(tx)), batch.ByQueue
	}
	by = batch.ByKernel
	// The kernel would loop back what is for an address of this host.
	if !q.kernelSends || q.engine.net.own.has(ipOf(&tx.Remote)) {
		switch q.transmit(tx) {
		case 0:
			return 0, batch.ByQueue
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
func (q *Queue) transmitAlone(tx *batch.Tx) unix.Errno {
	errno := q.transmit(tx)
	if errno == unix.ENOBUFS {
		q.sending.Lock()
		errno = kerr.Errno(q.seat.Kick())
		q.sending.Unlock()
		if errno == 0 {
			errno = q.transmit(tx)
		}
	}
	return errno
}

// transmit puts the datagrams of tx on the wire, all or none. ENOBUFS says that the
// ring has no room.
func (q *Queue) transmit(tx *batch.Tx) unix.Errno {
	flow := frame.Flow{
		SourceMAC: frame.MAC(tx.LocalMAC), DestinationMAC: frame.MAC(tx.NextHopMAC),
		Source: ipOf(&tx.Local), Destination: ipOf(&tx.Remote),
		SourcePort: tx.Local.PortNumber(), DestinationPort: tx.Remote.PortNumber(),
		TrafficClass: tx.TOS,
	}
	var h frame.Headers
	if h.Set(&flow) != nil {
		return unix.EAFNOSUPPORT
	}
	q.sending.Lock()
	defer q.sending.Unlock()
	count := int(tx.Count)
	if q.seat.Reserve(count) < count {
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
	return q.push()
}

// push makes the kernel send what has been submitted. It takes some at a time, and none
// while the device is busy: then the socket says when to go on.
func (q *Queue) push() unix.Errno {
	for before := 0; ; {
		errno := kerr.Errno(q.seat.Kick())
		left := q.seat.Backlog()
		if errno != 0 || left == 0 || left == before {
			q.await(errno == 0 && left != 0)
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
