// SPDX-License-Identifier: MIT

package xdp

import (
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/ossock"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// Queue is the engine's seat at one receive queue of an interface.
type Queue struct {
	engine    *Engine
	ifindex   int
	number    int
	zeroCopy  bool
	hugePages bool

	partition   uint16 // whose worker watches it
	kernelSends bool   // see Transmit
	checksum    frame.Checksum
	name        unsafe.Pointer // the value of CXPLAT_ROUTE.Queue
	state       queueState     // under the network's lock

	seat seat // changed with both locks

	receiving sync.Mutex // and what follows
	crowd     crowd

	sending  sync.Mutex      // and what follows
	endpoint *batch.Endpoint // C's, as long as the queue is watched
	awaiting bool            // room to send
	owed     bool            // a kick, for what is in the ring
	failing  bool            // the last kick
	outgoing [batch.TxSegments]pool.Outgoing
}

// seat is a [pool.Queue], or what tests have in its place.
type seat interface {
	FD() int
	Peek(limit int) int
	Packet(i int) []byte
	Release()
	Reserve(n int) int
	Frame(i int) []byte
	Submit(packets []pool.Outgoing)
	Kick() error
	Backlog() int
}

// queueState is where a queue is in its life.
type queueState uint8

const (
	waiting   queueState = iota // for an endpoint
	taken                       // by an endpoint that does not watch it yet
	watched                     // by a worker
	ending                      // its endpoint is to be given up
	unwatched                   // and has been: the seat can be left
)

// first returns the first queue that waits for an endpoint, nil if none does. The caller
// has mu.
func (n *network) first() (next *Queue) {
	for _, d := range n.devices {
		for _, q := range d.queues {
			if q.state == waiting && (next == nil || q.ifindex < next.ifindex) {
				next = q
				break
			}
		}
	}
	return next
}

// take takes that queue.
func (n *network) take() *Queue {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.first()
	if next != nil {
		next.state = taken
	}
	return next
}

// watch lets an endpoint watch a queue that has been taken.
func (n *network) watch(q *Queue, ep *batch.Endpoint) error {
	ep.FD = int32(q.seat.FD())
	ep.KernelSends = q.kernelSends
	q.name, q.partition = ep.Queue, ep.Partition
	q.sending.Lock()
	q.endpoint = ep
	q.sending.Unlock()
	err := ossock.Watch(ep)
	n.mu.Lock()
	switch {
	case err != nil:
		n.note(Warning, "queue %d of interface %d is not served by AF_XDP: %v", q.number, q.ifindex, err)
		q.forgetEndpoint()
		q.state = unwatched
	case q.state == taken:
		q.state = watched
	default: // its interface has gone meanwhile
		n.changed = true
	}
	n.mu.Unlock()
	n.publish()
	return err
}

// Ended reports whether the endpoint of the queue is to be given up. When no more
// events of it come, [Queue.Unwatched] says so.
func (q *Queue) Ended() bool {
	q.engine.net.mu.Lock()
	defer q.engine.net.mu.Unlock()
	return q.state == ending
}

// Unwatched lets the seat be left.
func (q *Queue) Unwatched() {
	q.forgetEndpoint()
	q.engine.net.mu.Lock()
	q.state = unwatched
	q.engine.net.mu.Unlock()
	q.engine.keeper.look()
}

// forgetEndpoint is called before C gives the endpoint to somebody else.
func (q *Queue) forgetEndpoint() {
	q.sending.Lock()
	defer q.sending.Unlock()
	q.endpoint = nil
}

// leave gives the seat up. Who still comes with something to send is told that there
// is no room.
func (q *Queue) leave() error {
	q.receiving.Lock()
	q.sending.Lock()
	s := q.seat
	q.seat = vacant{}
	q.sending.Unlock()
	q.receiving.Unlock()
	return s.(*pool.Queue).Leave()
}

// vacant is a seat that has been left.
type vacant struct{}

func (vacant) FD() int                { return -1 }
func (vacant) Peek(int) int           { return 0 }
func (vacant) Packet(int) []byte      { return nil }
func (vacant) Release()               {}
func (vacant) Reserve(int) int        { return 0 }
func (vacant) Frame(int) []byte       { return nil }
func (vacant) Submit([]pool.Outgoing) {}
func (vacant) Kick() error            { return unix.ENXIO }
func (vacant) Backlog() int           { return 0 }
