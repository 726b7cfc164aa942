// SPDX-License-Identifier: MIT

package xdp

import (
	"sync"
	"unsafe"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/ossock"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// Queue is the engine's seat at one receive queue of an interface.
type Queue struct {
	engine      *Engine
	ifindex     int
	seat        seat
	checksum    frame.Checksum
	kernelSends bool           // see Transmit
	name        unsafe.Pointer // the value of CXPLAT_ROUTE.Queue

	crowd crowd

	endpoint *batch.Endpoint // C's, as long as the queue is watched

	sending  sync.Mutex // and what follows
	awaiting bool       // room to send
	outgoing [batch.TxSegments]pool.Outgoing
}

// seat is a [pool.Queue], or what tests have in its place.
type seat interface {
	FD() int
	ZeroCopy() (bool, error)
	Peek(limit int) int
	Packet(i int) []byte
	Release()
	Reserve(n int) int
	Frame(i int) []byte
	Submit(packets []pool.Outgoing)
	Kick() error
	Backlog() int
}

func (q *Queue) watch(ep *batch.Endpoint) error {
	ep.FD = int32(q.seat.FD())
	q.name, q.endpoint = ep.Queue, ep
	zeroCopy, err := q.seat.ZeroCopy()
	if err != nil {
		return err
	}
	q.kernelSends = q.engine.transmit.byKernel(zeroCopy)
	ep.KernelSends = q.kernelSends
	return ossock.Watch(ep)
}
