// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Member is one datapath's place in a network namespace: a slot, and a connection to
// every other member.
//
// Its methods may be called by several goroutines; Close comes last.
type Member struct {
	dir    *rundir.Dir
	kernel Kernel
	file   *rundir.File // xdp, which has the locks of slot and version
	slot   uint32
	accept *listener
	work   sync.WaitGroup

	// joining orders Join, Leave and Close of this member.
	joining sync.Mutex

	// reviewing belongs to who looks after pools as a whole: to recover, to supply, to end.
	reviewing sync.Mutex
	wakeups   chan time.Time // of room one: that a review is due, since when
	done      chan struct{}  // closed by Close

	events journal
	step   func(point) // of the queues

	mu       sync.Mutex // for a moment: what follows
	closed   bool
	peers    map[*peer]struct{}
	programs map[int]*program
	queues   map[topic]*Queue
}

// Open takes a slot in the network namespace of dir, and connects to all other
// members. dir stays the caller's and open until Close.
//
// Errors: [VersionError], [FullError] when there is no slot, [SilentError] when
// another process has stopped while it opened, [rundir.UnavailableError].
func Open(dir *rundir.Dir, kernel Kernel) (*Member, error) {
	file, err := enter(dir, "xdp")
	if err != nil {
		return nil, err
	}
	m := &Member{
		dir: dir, kernel: kernel, file: file,
		wakeups:  make(chan time.Time, 1),
		done:     make(chan struct{}),
		peers:    map[*peer]struct{}{},
		programs: map[int]*program{},
		queues:   map[topic]*Queue{},
	}
	if err := m.open(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return m, nil
}

// open runs at the door, so that of any two members the second connects to the first.
func (m *Member) open() error {
	if err := claimVersion(m.file); err != nil {
		return err
	}
	var err error
	if m.slot, err = claimSlot(m.file); err != nil {
		return err
	}
	if m.accept, err = listen(m.dir, m.slot); err != nil {
		return err
	}
	peers, err := connectAll(m.dir)
	if err != nil {
		m.accept.close()
		return err
	}
	m.work.Go(m.receiveNewcomers)
	m.work.Go(m.review)
	for _, p := range peers {
		if p.is(m.slot) { // ourselves; a dead predecessor would have refused
			p.conn.Close()
			continue
		}
		if err := p.tell(message{Kind: hello, Slot: m.slot}, nil); err == nil {
			m.enter(p)
		}
	}
	return leave(m.file)
}

// claimVersion makes sure that all members speak one version.
func claimVersion(f *rundir.File) error {
	for _, others := range [][2]int64{{versionAt, version}, {versionAt + version + 1, versions - version - 1}} {
		lock, held, err := f.Held(others[0], others[1], true)
		if err != nil {
			return err
		}
		if held {
			return &VersionError{Ours: version, Theirs: int(max(lock.Start, versionAt) - versionAt)}
		}
	}
	_, err := f.TryShare(versionAt+version, 1)
	return err
}

// claimSlot takes a slot that nobody has, beginning anywhere: the one that a dead member
// had may still have to be cleaned up, which takes a moment.
func claimSlot(f *rundir.File) (uint32, error) {
	first := rand.Uint32()
	for n := range uint32(MaxSlots) {
		slot := (first + n) % MaxSlots
		if ok, err := f.TryLock(slotAt+int64(slot), 1); ok || err != nil {
			return slot, err
		}
	}
	return 0, &FullError{What: "the network namespace", Most: MaxSlots}
}

// Slot returns the number by which the XDP programs know the member. It belongs to
// nobody else until Close.
func (m *Member) Slot() uint32 { return m.slot }

// receiveNewcomers lets others connect until the member is closed.
func (m *Member) receiveNewcomers() {
	for {
		conn, err := m.accept.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many open files, say
			time.Sleep(acceptInterval)
			continue
		}
		m.enter(newPeer(conn, noSlot))
	}
}

const acceptInterval = 10 * time.Millisecond

// enter begins to listen to a peer.
func (m *Member) enter(p *peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		p.conn.Close()
		return
	}
	m.peers[p] = struct{}{}
	m.work.Go(func() { m.listenTo(p) })
	if p.Slot != noSlot {
		m.events.add(Event{Kind: Came, Peer: p.Peer})
	}
}

// listenTo handles what a peer sends, until it is gone.
func (m *Member) listenTo(p *peer) {
	for {
		in, fds, err := receive(p.conn)
		if errors.Is(err, unix.EMFILE) && in != nil && in.Kind == reply { // the connection is as good as before
			p.answered(answer{message: in, err: err})
			continue
		}
		if err == nil {
			err = m.handle(p, in, fds)
		}
		if err != nil {
			break
		}
	}
	p.conn.Close()
	close(p.gone)
	p.drop()
	m.mu.Lock()
	delete(m.peers, p)
	closed := m.closed
	m.mu.Unlock()
	if closed || p.Slot == noSlot {
		return
	}
	kind := Died
	if p.left {
		kind = Left
	}
	m.events.add(Event{Kind: kind, Peer: p.Peer})
	m.wake()
}

// handle handles one message and takes its descriptors. An error ends the connection.
func (m *Member) handle(p *peer, in *message, fds []int) error {
	if in.Kind != tell && (in.Kind == hello) != (p.Slot == noSlot) {
		descriptors.CloseAll(fds)
		return fmt.Errorf("message of kind %d out of place", in.Kind)
	}
	switch in.Kind {
	case reply:
		p.answered(answer{message: in, fds: fds})
		return nil
	case serve:
		return m.admit(in, fds)
	}
	descriptors.CloseAll(fds)
	switch in.Kind {
	case hello:
		m.mu.Lock()
		p.Slot = in.Slot
		m.mu.Unlock()
		m.events.add(Event{Kind: Came, Peer: p.Peer})
	case who:
		out := message{Kind: reply, ID: in.ID}
		if m.has(in.Topic) {
			out.Found = 1
		}
		// Who does not hear the answer, or is dead, may have told us more before.
		_ = p.tell(out, nil)
	case hand:
		out, fds := m.give(in.Topic)
		out.ID = in.ID
		_ = p.tell(out, fds)
		descriptors.CloseAll(fds)
	case lend:
		out, fds := m.lend(in.Topic)
		out.ID = in.ID
		_ = p.tell(out, fds)
		descriptors.CloseAll(fds)
	case tell:
		return p.write(m.account(in).encode())
	case ended:
		m.wake()
	case bye:
		p.left = true
	}
	return nil
}

// has reports whether the member can hand something over.
func (m *Member) has(t topic) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.Pool == 0 {
		return m.programs[int(t.Ifindex)] != nil
	}
	return m.queues[t] != nil
}

// give returns what the member hands over, with copies of the descriptors.
func (m *Member) give(t topic) (message, []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := message{Kind: reply}
	var fds []int
	switch q, p := m.queues[t], m.programs[int(t.Ifindex)]; {
	case t.Pool == 0 && p != nil:
		fds = p.FDs()
	case t.Pool == 1 && q != nil:
		fds = q.describe(&out)
	default:
		return out, nil
	}
	copies, err := descriptors.Duplicate(fds)
	if err == nil {
		out.Found = 1
	}
	return out, copies
}

// admit takes up the socket of a newcomer in a pool.
func (m *Member) admit(in *message, fds []int) error {
	m.mu.Lock()
	q := m.queues[in.Topic]
	m.mu.Unlock()
	sockets, err := in.sockets(fds, 0)
	if err == nil && len(sockets) != 1 {
		err = fmt.Errorf("%d sockets, where one is due", len(sockets))
	}
	if err != nil || q == nil { // we may have left meanwhile
		descriptors.CloseAll(fds)
		return err
	}
	err = q.learn(sockets[0])
	m.wake() // it may be gone already
	return err
}

// others returns the members that are connected.
func (m *Member) others() []*peer {
	m.mu.Lock()
	defer m.mu.Unlock()
	var peers []*peer
	for p := range m.peers {
		if p.Slot != noSlot {
			peers = append(peers, p)
		}
	}
	return peers
}

// Close leaves all queues and gives the slot up.
func (m *Member) Close() error {
	m.joining.Lock()
	defer m.joining.Unlock()
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	queues := slices.Collect(maps.Values(m.queues))
	m.mu.Unlock()
	var errs []error
	for _, q := range queues {
		errs = append(errs, q.leave())
	}
	for _, p := range m.others() {
		_ = p.tellSoon(message{Kind: bye})
	}
	m.hangUp()
	m.accept.close()
	m.work.Wait()
	return errors.Join(append(errs, m.file.Close())...)
}

// hangUp ends all conversations with others.
func (m *Member) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	close(m.done)
	for p := range m.peers {
		p.conn.Close()
	}
}
