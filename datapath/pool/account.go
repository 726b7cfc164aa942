// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
)

// account is what a member tells of a pool in which it is, as the answer to tell. It
// begins as a message does.
type account struct {
	Magic   uint32
	Version uint16
	Kind    kind
	ID      uint32
	Slot    uint32 // of the member that tells
	Topic   topic
	Found   uint32 // 1: it is in the pool; else there is nothing more
	Shape   geometry

	// The census, without what can be added up.
	Idle, Fill, Missing, Twice uint32

	Count uint32 // of Seats
	Seats [MaxMembers]accountOfSeat
}

// accountOfSeat is the part that is of one seat. The socket is looked at through the
// descriptor that every member has, so it tells of those that are stopped as well.
type accountOfSeat struct {
	Seat, Slot     uint32
	Ring, InFlight uint32
	Known          uint32 // 1: the socket could be looked at; else what follows is 0
	ZeroCopy       uint32 // 1: yes
	Kernel         xsk.Statistics
}

func (a *account) encode() []byte {
	a.Magic, a.Version, a.Kind = magic, version, told
	return encode(a)
}

// decodeAccount refuses what no member tells.
func decodeAccount(b []byte) (*account, error) {
	a := new(account)
	if err := decodeInto(a, b); err != nil {
		return nil, err
	}
	if a.Kind != told || a.Slot >= MaxSlots || a.Found > 1 || a.Count > MaxMembers || a.Idle > a.Shape.Receive {
		return nil, fmt.Errorf("an account that nobody gives: kind %d, slot %d, found %d, count %d, %d idle of %d", a.Kind, a.Slot, a.Found, a.Count, a.Idle, a.Shape.Receive)
	}
	for _, s := range a.Seats[:a.Count] {
		if s.Seat >= MaxMembers || s.Slot >= MaxSlots {
			return nil, fmt.Errorf("an account of seat %d, slot %d", s.Seat, s.Slot)
		}
	}
	return a, nil
}

// account answers tell.
func (m *Member) account(in *message) *account {
	a := &account{ID: in.ID, Slot: m.slot, Topic: in.Topic}
	m.mu.Lock()
	q := m.queues[in.Topic]
	m.mu.Unlock()
	if c, ok := q.census(); ok {
		q.inside(func() { q.account(a, &c) })
	}
	return a
}

// account says where the chunks are, and what the kernel says of each socket.
func (q *Queue) account(a *account, c *Census) {
	a.Found, a.Shape = 1, q.shape
	a.Idle, a.Fill, a.Missing, a.Twice = uint32(c.Idle), uint32(c.Fill), uint32(c.Missing), uint32(c.Twice)
	for _, seat := range c.Seats {
		a.Seats[a.Count] = q.accountOf(seat)
		a.Count++
	}
}

// accountOf adds to the census of a seat what the kernel says of its socket.
func (q *Queue) accountOf(c SeatCensus) accountOfSeat {
	a := accountOfSeat{Seat: uint32(c.Seat), Slot: uint32(c.Slot), Ring: uint32(c.Ring), InFlight: uint32(c.InFlight)}
	q.mu.Lock()
	defer q.mu.Unlock()
	fd := q.socket.FD()
	if a.Seat != q.number {
		s := q.knows(q.tenureOf(a.Seat))
		if s == nil {
			return a
		}
		fd = s.fd
	}
	zeroCopy, err := xsk.ZeroCopyOf(fd)
	var errKernel error
	a.Kernel, errKernel = xsk.StatisticsOf(fd)
	if errors.Join(err, errKernel) == nil {
		a.Known = 1
	}
	if zeroCopy {
		a.ZeroCopy = 1
	}
	return a
}
