// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"sync"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Queue is a member's seat in the pool of one receive queue.
type Queue struct {
	member *Member
	topic  topic
	shape  geometry

	file    *rundir.File // which has the lock of the seat
	program *program
	umem    *memory
	control *control
	packets xsk.UMEM

	socket   *xsk.Socket
	zeroCopy bool
	fill     *xsk.SharedFill
	trail    *trail // of FILL
	landed   *xsk.SharedCompletion
	seat     *seat // nil before the member has one
	number   uint32
	tenure   tenure

	looking sync.RWMutex // read: by who looks at the pool, which stays as it is mapped

	mu      sync.Mutex // for a moment: what follows
	others  []*sibling
	left    bool
	present bool // the seat says that it is ours

	strange map[uint32]stranger // by seat: of who has reviewing

	receiving
	sending

	step func(point) // of tests, see at; else nil
}

// FD returns the descriptor that is readable when there are packets. It stays the queue's.
func (q *Queue) FD() int { return q.socket.FD() }

// ZeroCopy reports whether the device itself reads and writes the packets.
func (q *Queue) ZeroCopy() bool { return q.zeroCopy }

// HugePages reports whether the packets are kept in huge pages.
func (q *Queue) HugePages() bool { return q.umem.huge }

// Program returns the XDP program of the interface, which the member has open as
// long as it is in one of its pools.
func (q *Queue) Program() Program { return q.program.Program }

// Statistics are the kernel's counters of the member's socket.
func (q *Queue) Statistics() (xsk.Statistics, error) { return q.socket.Statistics() }

// describe fills in what another member needs to join, and returns the descriptors in
// the order of message: UMEM, control block, the sockets of Seats, our own first, and
// their maps.
func (q *Queue) describe(out *message) []int {
	q.mu.Lock()
	defer q.mu.Unlock()
	fds := []int{q.umem.fd, q.control.fd, q.socket.FD()}
	seats := []seatOf{{q.number, q.tenure}}
	scattered, maps := q.scattered()
	for _, s := range q.others[:min(len(q.others), MaxMembers-1)] {
		fds = append(fds, s.fd)
		seats = append(seats, seatOf{s.seat, s.tenure})
		maps = append(maps, s.in)
	}
	if scattered {
		out.Maps = 1
		fds = append(fds, maps...)
	}
	out.Shape = q.shape
	out.Count = uint32(copy(out.Seats[:], seats))
	return fds
}

// scattered reports whether members have maps of their own, and returns this member's.
func (q *Queue) scattered() (yes bool, own []int) {
	if p, ok := q.program.Program.(Scattered); ok {
		return true, []int{p.Own()}
	}
	return false, nil
}

// learn takes up the socket of another member, whose descriptors belong to it.
func (q *Queue) learn(of socketOf) error {
	if scattered, _ := q.scattered(); scattered != (of.in >= 0) {
		of.close()
		return errors.New("pool: a member is in map mode, and another is not")
	}
	s, err := newSibling(of, q.shape.Ring)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left || of.Seat >= q.shape.Members || of.Tenure == q.tenure || q.knows(of.Tenure) != nil || len(q.others) >= 2*MaxMembers {
		return s.close()
	}
	q.others = append(q.others, s)
	return nil
}

// isKnown reports whether the socket is known of who is said to have a seat, if anybody is. The
// caller has mu.
func (q *Queue) isKnown(seat uint32, t tenure) bool {
	return t.free() || q.seat != nil && seat == q.number || q.knows(t) != nil
}

// knows returns the socket of a tenure. The caller has mu.
func (q *Queue) knows(t tenure) *sibling {
	for _, s := range q.others {
		if s.tenure == t {
			return s
		}
	}
	return nil
}

// siblings returns the sockets of the other members.
func (q *Queue) siblings() []*sibling {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]*sibling(nil), q.others...)
}

// close gives all descriptors and mappings back, of a queue that may be half made.
func (q *Queue) close() error {
	var errs []error
	q.mu.Lock()
	for _, s := range q.others {
		errs = append(errs, s.close())
	}
	q.others = nil
	q.mu.Unlock()
	errs = append(errs, q.trail.close())
	if q.socket != nil {
		errs = append(errs, q.socket.Close())
	}
	if q.control != nil {
		errs = append(errs, q.control.close())
	}
	errs = append(errs, q.umem.close(), q.member.release(q.program))
	return errors.Join(append(errs, q.file.Close())...)
}
