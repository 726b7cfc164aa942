// SPDX-License-Identifier: MIT

package ossock

import (
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// A send that the kernel cannot take now waits in the queue of its endpoint,
// and every later send waits behind it, so that datagrams leave in the order in
// which SocketSend was called. The lock makes "the queue is empty" and "watch
// for EPOLLOUT" one step: a send cannot be left behind by a flush that has just
// emptied the queue.

// Send sends tx, or queues it.
//
// It returns 0 when all of it is in the kernel, batch.SendQueued when the
// endpoint now owns it, or the errno for which it is lost. In the first and
// last case tx is the caller's again.
func Send(ep *batch.Endpoint, tx *batch.Tx) int32 {
	if ep.Kind != batch.KindUDP {
		return sendTCP(ep, tx)
	}
	if ep.Queued.Load() != 0 && queueBehind(ep, tx) {
		return batch.SendQueued
	}
	errno := transmit(ep, tx)
	if errno == unix.EAGAIN {
		ep.Lock.Lock()
		push(ep, tx)
		ep.Lock.Unlock()
		return batch.SendQueued
	}
	return int32(errno)
}

// queueBehind queues tx unless the queue has run empty meanwhile.
func queueBehind(ep *batch.Endpoint, tx *batch.Tx) bool {
	ep.Lock.Lock()
	defer ep.Lock.Unlock()
	if ep.QueueHead == nil {
		return false
	}
	push(ep, tx)
	return true
}

// push appends tx and watches for room. The caller holds the lock.
func push(ep *batch.Endpoint, tx *batch.Tx) {
	tx.Next = nil
	if ep.QueueTail == nil {
		ep.QueueHead = tx
	} else {
		ep.QueueTail.Next = tx
	}
	ep.QueueTail = tx
	ep.Queued.Add(1)
	rearm(ep, ep.Events|unix.EPOLLOUT)
}

// pop removes the head, which the caller has seen under the lock.
func pop(ep *batch.Endpoint) *batch.Tx {
	tx := ep.QueueHead
	ep.QueueHead = tx.Next
	if tx.Next == nil {
		ep.QueueTail = nil
	}
	tx.Next = nil
	ep.Queued.Add(^uint32(0))
	return tx
}

// flush sends what waits, oldest first, and puts what is finished on t.Done.
func flush(ep *batch.Endpoint, t *batch.Turn) {
	ep.Lock.Lock()
	defer ep.Lock.Unlock()
	tail := &t.Done
	for ep.QueueHead != nil {
		errno := write(ep, ep.QueueHead)
		if errno == unix.EAGAIN {
			return
		}
		tx := pop(ep)
		tx.Status = int32(errno)
		if unreachable(errno) {
			t.Error = int32(errno)
		}
		*tail, tail = tx, &tx.Next
	}
	rearm(ep, ep.Events&^unix.EPOLLOUT)
}

func write(ep *batch.Endpoint, tx *batch.Tx) unix.Errno {
	if ep.Kind == batch.KindUDP {
		return transmit(ep, tx)
	}
	return stream(ep, tx)
}

// unreachable reports whether an error says that the peer cannot be reached.
func unreachable(e unix.Errno) bool {
	return e == unix.ECONNREFUSED || e == unix.EHOSTUNREACH || e == unix.ENETUNREACH
}
