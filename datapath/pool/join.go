// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
)

// Join makes the pool of a queue, or joins the one that is there. It returns when
// the member's socket is in the XDP program of the interface.
//
// Errors: [ErrJoined], [FullError], [SilentError] where processes that are in the way are
// stopped, [xsk.ErrBusy] where somebody else's AF_XDP socket has the queue, and what the
// kernel refuses: [xsk.ErrPermission], [xsk.ErrNoQueue], [xsk.UnsupportedError], and
// the errors of Kernel.
func (m *Member) Join(ifindex, queue int, o Options) (*Queue, error) {
	shape, err := o.shape()
	if err != nil {
		return nil, err
	}
	if ifindex <= 0 || queue < 0 || queue > 1<<16 {
		return nil, fmt.Errorf("pool: interface %d, queue %d: there is none of that number", ifindex, queue)
	}
	m.joining.Lock()
	defer m.joining.Unlock()
	t := topic{Ifindex: uint32(ifindex), Queue: uint32(queue), Pool: 1}
	switch {
	case m.closed: // only Close, which has joining, changes it
		return nil, ErrClosed
	case m.queues[t] != nil: // only Join and Leave change it
		return nil, ErrJoined
	}
	q := &Queue{member: m, topic: t, shape: shape, step: m.step, strange: map[uint32]stranger{}}
	if q.file, err = enter(m.dir, t.lockFile()); err != nil {
		return nil, err
	}
	if err = q.join(o.Mode); err != nil {
		return nil, errors.Join(err, q.close())
	}
	if err = leave(q.file); err != nil {
		return nil, errors.Join(err, q.leave())
	}
	m.wake() // for those who left while we came
	return q, nil
}

// join runs at the door of the queue.
func (q *Queue) join(mode xsk.Mode) (err error) {
	if q.program, err = q.member.acquire(int(q.topic.Ifindex)); err != nil {
		return err
	}
	if err = q.obtain(mode); err != nil {
		return err
	}
	if err = q.sit(); err != nil {
		return err
	}
	q.member.mu.Lock()
	q.member.queues[q.topic] = q
	q.member.mu.Unlock()
	if err = q.appear(); err != nil {
		q.vanish()
		return err
	}
	q.member.supply(q) // or, where that cannot be now, a review will
	return nil
}

// obtain makes the pool, or joins it, and makes it when its last member leaves meanwhile.
func (q *Queue) obtain(mode xsk.Mode) error {
	return until(queuePatience, q.topic.String(), func() (bool, error) {
		_, used, err := q.file.Held(seatAt, MaxMembers, true)
		if err != nil {
			return false, err
		}
		if !used {
			return true, q.found(mode)
		}
		a, err := q.member.find(q.topic)
		if err == nil {
			return true, q.enter(a)
		}
		return false, unlessNobody(err)
	})
}

// found makes a new pool.
func (q *Queue) found(mode xsk.Mode) (err error) {
	if q.umem, err = newPackets(int(q.shape.chunks()) * chunkSize); err != nil {
		return err
	}
	m, err := newMemory("control", controlSize(&q.shape))
	if err != nil {
		return err
	}
	q.control = newControl(m, &q.shape)
	if err = q.open(func(u *xsk.UMEM, c xsk.Config) (*xsk.Socket, error) { return xsk.Create(u, mode, c) }); err != nil {
		return err
	}
	chunks := q.due()
	if n := q.fill.Push(chunks); n != len(chunks) {
		return fmt.Errorf("pool: %s: a new FILL ring took %d of %d chunks", q.topic, n, len(chunks))
	}
	return nil
}

// enter joins a pool that another member has handed over.
func (q *Queue) enter(a answer) error {
	if err := q.adopt(a); err != nil {
		return fmt.Errorf("%s, as another member describes it: %w", q.topic, err)
	}
	return q.complete()
}

// adopt makes the pool of what another member has handed over, and takes the
// descriptors.
func (q *Queue) adopt(a answer) (err error) {
	kept := 0
	defer func() { descriptors.CloseAll(a.fds[kept:]) }()
	if err := a.Shape.check(); err != nil {
		return err
	}
	sockets, err := a.sockets(a.fds, 2)
	if err != nil {
		return err
	}
	q.shape = a.Shape
	kept = 1
	if q.umem, err = adoptMemory(a.fds[0], int(q.shape.chunks())*chunkSize); err != nil {
		return err
	}
	kept = 2
	m, err := adoptMemory(a.fds[1], controlSize(&q.shape))
	if err != nil {
		return err
	}
	q.control = newControl(m, &q.shape)
	if err = q.open(func(_ *xsk.UMEM, c xsk.Config) (*xsk.Socket, error) { return q.joinOrBorrow(sockets[0].fd, c) }); err != nil {
		return err
	}
	kept = len(a.fds)
	return q.learnAll(sockets)
}

// complete asks again until the sockets of all members are known: who handed the pool
// over may not have read yet what the latest newcomer told it.
func (q *Queue) complete() error {
	return until(queuePatience, q.topic.String(), func() (bool, error) {
		if !q.lacks() {
			return true, nil
		}
		a, err := q.member.find(q.topic)
		if err != nil {
			return false, unlessNobody(err)
		}
		sockets, err := a.sockets(a.fds, 2)
		if err != nil || a.Shape != q.shape {
			descriptors.CloseAll(a.fds)
			return false, errors.New("two members describe it in two ways")
		}
		descriptors.CloseAll(a.fds[:2])
		return false, q.learnAll(sockets)
	})
}

// learnAll takes up the sockets of members, whose descriptors belong to it.
func (q *Queue) learnAll(sockets []socketOf) error {
	for i, of := range sockets {
		if err := q.learn(of); err != nil {
			for _, rest := range sockets[i+1:] {
				rest.close()
			}
			return err
		}
	}
	return nil
}

// lacks reports whether a live member's socket is not known.
func (q *Queue) lacks() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n := range q.control.seats {
		if q.isKnown(uint32(n), q.tenureOf(uint32(n))) {
			continue
		}
		if _, held, err := q.file.Held(seatAt+int64(n), 1, true); held || err != nil {
			return true
		}
	}
	return false
}

// open opens the socket, and takes up the shared rings.
func (q *Queue) open(make func(*xsk.UMEM, xsk.Config) (*xsk.Socket, error)) (err error) {
	q.packets = xsk.UMEM{Memory: q.umem.bytes[:q.shape.chunks()*chunkSize], Chunk: chunkSize, Metadata: q.shape.Checksums == 1}
	q.socket, err = withBudget(q.topic, q.shape, func(c xsk.Config) (*xsk.Socket, error) { return make(&q.packets, c) })
	if err != nil {
		return err
	}
	if q.zeroCopy, err = q.socket.ZeroCopy(); err != nil {
		return err
	}
	if q.fill, err = xsk.NewSharedFill(q.socket.Fill, chunkSize); err != nil {
		return err
	}
	if q.trail, err = trailOfFill(q.socket.FD(), q.shape.fill()); err != nil {
		return err
	}
	q.landed, err = xsk.NewSharedCompletion(q.socket.Completion, q.control.flights, q.shape.Receive, chunkSize)
	return err
}

// withBudget makes a socket of a pool, for more packets in one call than is usual, where the
// kernel lets it.
func withBudget(t topic, shape geometry, make func(xsk.Config) (*xsk.Socket, error)) (*xsk.Socket, error) {
	c := xsk.Config{
		Interface: int(t.Ifindex), Queue: t.Queue,
		RX: shape.Ring, TX: shape.Send, Fill: shape.fill(), Completion: shape.completion(),
		TXBudget: txBudget, Patience: releasePatience,
	}
	s, err := make(c)
	if errors.As(err, new(*xsk.UnsupportedError)) { // of the budget, perhaps: do without
		c.TXBudget = 0
		s, err = make(c)
	}
	return s, err
}

// txBudget is how many packets the kernel sends in one call.
const txBudget = 64

// sit takes a seat that is free. Seats of dead members are cleaned up first, where no
// other is, and one that a dead predecessor had in our slot in any case: by
// its tenure somebody might else delete our socket from the program.
func (q *Queue) sit() error {
	var full time.Time // since when there has been none
	return until(queuePatience, "the seat of a dead member in "+q.topic.String(), func() (bool, error) {
		orphans := q.member.cleanUp(q, time.Now())
		dirty, err := q.choose()
		switch {
		case err != nil || q.seat != nil || dirty || orphans:
			full = time.Time{}
		case full.IsZero():
			full = time.Now()
		case time.Since(full) > fullPatience:
			err = &FullError{What: q.topic.String(), Most: int(q.shape.Members)}
		}
		return q.seat != nil, err
	})
}

// choose looks for a seat, and reports whether one has to be cleaned up first.
func (q *Queue) choose() (dirty bool, err error) {
	for n := range q.control.seats {
		if slot, taken := q.tenureOf(uint32(n)).slot(); taken && slot == q.member.slot {
			return true, nil
		}
	}
	for n := range uint32(len(q.control.seats)) {
		taken, leaving, err := q.claim(n)
		if taken || err != nil {
			return false, err
		}
		dirty = dirty || leaving
	}
	return dirty, nil
}

// claim takes a seat if it is free. It reports too whether the seat will be free soon: somebody
// is about to leave it, or is dead.
func (q *Queue) claim(n uint32) (taken, soon bool, err error) {
	if !q.tenureOf(n).free() {
		_, held, err := q.file.Held(seatAt+int64(n), 1, true)
		return false, !held, err
	}
	if taken, err = q.file.TryLock(seatAt+int64(n), 1); !taken || err != nil {
		return false, true, err
	}
	t := q.tenureOf(n)
	if !t.free() {
		q.unlock(n)
		return false, true, nil
	}
	q.seat, q.number, q.tenure = &q.control.seats[n], n, t.next().of(q.member.slot)
	q.seat.owner.Store(uint32(t.next()))
	return true, false, nil
}

// appear makes the member known to the others in the pool, and then to the kernel. Its
// socket gets no packet before all know of the socket.
func (q *Queue) appear() error {
	q.startSending()
	q.seat.turn.Store(0)
	peers, err := q.reachable()
	if err != nil {
		return err
	}
	m := message{Kind: serve, Topic: q.topic, Count: 1, Seats: [MaxMembers]seatOf{{q.number, q.tenure}}}
	fds := []int{q.socket.FD()}
	if scattered, own := q.scattered(); scattered {
		m.Maps = 1
		fds = append(fds, own...)
	}
	for _, p := range peers {
		// One that has just gone need not know.
		if err := p.tell(m, fds); errors.Is(err, os.ErrDeadlineExceeded) {
			return &SilentError{What: q.topic.String(), Peers: []Peer{p.Peer}}
		}
	}
	q.mu.Lock()
	q.seat.owner.Store(uint32(q.tenure))
	q.present = true
	q.mu.Unlock()
	slot := q.member.slot
	if err := q.program.DeleteSocket(slot, q.topic.Queue); err != nil {
		return err
	}
	q.awaitEntry()
	return q.program.PutSocket(slot, q.topic.Queue, q.socket.FD())
}

// awaitEntry waits until no other member has its socket in this member's map: a dead one's
// might be taken out by somebody, and ours instead of it. When the patience is at an end it is a
// live one's, and the program will say that the entry is taken.
func (q *Queue) awaitEntry() {
	p, ok := q.program.Program.(Scattered)
	if !ok {
		return
	}
	isTaken := func(s *sibling) bool { return q.tenureOf(s.seat) == s.tenure && p.IsOwn(s.in) }
	_ = until(queuePatience, "", func() (bool, error) {
		q.member.cleanUp(q, time.Now())
		return !slices.ContainsFunc(q.siblings(), isTaken), nil
	})
}

// reachable returns the members that are in the pool, to all of which we must be
// connected. Those that have died are cleaned up after, which takes a moment.
func (q *Queue) reachable() (peers []*peer, err error) {
	var missing []Peer
	err = until(queuePatience, q.topic.String(), func() (bool, error) {
		missing, peers = q.unconnected()
		if len(missing) > 0 {
			q.member.cleanUp(q, time.Now())
		}
		return len(missing) == 0, nil
	})
	if silent := (*SilentError)(nil); errors.As(err, &silent) {
		silent.Peers = missing
	}
	return peers, err
}

// unconnected returns the members that are in the pool: those to whom there is no connection,
// and the connections to the others.
func (q *Queue) unconnected() (missing []Peer, peers []*peer) {
	all := q.member.others()
	for _, s := range q.siblings() {
		if q.tenureOf(s.seat) != s.tenure {
			continue
		}
		slot, _ := s.tenure.slot()
		before := len(peers)
		for _, p := range all {
			if p.is(slot) {
				peers = append(peers, p)
			}
		}
		if len(peers) == before {
			missing = append(missing, Peer{Slot: slot})
		}
	}
	return missing, peers
}
