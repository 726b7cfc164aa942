// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// maxWays bounds how many ways are kept. When there are more, all are dropped
// and asked for again as they are needed.
const maxWays = 1 << 16

var (
	// ErrClosed says that the Table has been closed.
	ErrClosed = errors.New("route: the table is closed")
	// ErrNeighbour says that the next hop does not answer.
	ErrNeighbour = errors.New("route: the next hop does not answer on its link")
)

// Table answers how datagrams go that are sent past the kernel's IP layer, and
// keeps up with the kernel's interfaces, addresses, routes, rules and
// neighbours.
//
// Its methods may be called on any thread, at the same time.
type Table struct {
	changed func()
	limit   int // maxWays, less in tests

	// ask is held from a question to the kernel until its answer is stored. So
	// what is stored last was answered last, and who takes ask after a change
	// finds no older answer on its way.
	ask sync.Mutex

	// Under ask.
	conn  *conn // nil when the Table is closed
	links map[int]ethernet
	own   map[netip.Addr]bool // addresses of this host

	mu         sync.RWMutex // never held in a system call; taken after ask
	ways       map[flow]*way
	neighbours map[neighbourKey]*neighbour

	generation atomic.Uint64
	agenda     agenda
	events     *os.File
	goroutines sync.WaitGroup
}

// TableOptions are what a Table may be told. The zero value is fine.
type TableOptions struct {
	// Changed is called after interfaces or addresses of the namespace may have
	// changed, on a goroutine of the Table and with none of its locks held. It
	// must not close the Table.
	Changed func()
}

// NewTable makes a Table for the network namespace of the calling thread. It
// has three sockets and two goroutines until it is closed, and two sockets more
// without CAP_NET_ADMIN. It asks the kernel for nothing that it is not asked
// for itself.
func NewTable(opts TableOptions) (*Table, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := newState(nil)
	t.changed = opts.Changed
	w := &worker{t: t, waiting: make(map[*neighbour][]*waiter)}
	if err := errors.Join(t.open(), w.open()); err != nil {
		t.closeSockets()
		w.closeSockets()
		return nil, err
	}
	t.goroutines.Go(t.listen)
	t.goroutines.Go(w.run)
	return t, nil
}

// newState makes a Table that knows nothing and is not kept up to date.
func newState(c *conn) *Table {
	return &Table{
		limit:  maxWays,
		agenda: agenda{wake: make(chan struct{}, 1), todo: newDuties()},
		conn:   c, links: make(map[int]ethernet), own: make(map[netip.Addr]bool),
		ways: make(map[flow]*way), neighbours: make(map[neighbourKey]*neighbour),
	}
}

func (t *Table) open() (err error) {
	if t.conn, err = dial(); err != nil {
		return err
	}
	t.events, err = subscribe()
	return err
}

// Close ends the Table. Who still waits is called with ErrClosed before it
// returns. It must not be called by a function that the Table calls.
func (t *Table) Close() {
	t.agenda.close()
	t.events.Close()
	t.goroutines.Wait()
	t.closeSockets()
	t.forgetWays()
}

func (t *Table) closeSockets() {
	t.ask.Lock()
	defer t.ask.Unlock()
	if t.conn != nil {
		t.conn.socket.Close()
		t.conn = nil
	}
	t.events.Close() // does nothing to what is closed or nil
}

// Generation returns a number that changes when answers may have changed. A
// sender that reads it before it calls Resolve can keep the answer until it
// changes. It also changes when a neighbour should be checked if it is in use,
// which is what such a sender says by calling Resolve again.
func (t *Table) Generation() uint64 { return t.generation.Load() }

// Resolve says how a datagram goes. It does not wait for the network.
//
// When the answer is Pending, the kernel is made to ask for the next hop; when
// it is Known, it is made to check the next hop from time to time, as it would
// if it sent itself.
//
// It allocates nothing and makes no system call for a flow that is known.
func (t *Table) Resolve(q *Query) Answer {
	answer, _ := t.resolve(q)
	return answer
}

// Reverify is Resolve for a path on which datagrams seem to get lost: the
// kernel is asked again. mac is the address of the next hop that they were sent
// to. If it is still the one that the kernel has, and not fixed by an
// administrator, the answer is Pending until the next hop has been asked.
func (t *Table) Reverify(q *Query, mac [6]byte) Answer {
	t.forgetWay(q.flow())
	answer, n := t.resolve(q)
	if answer.State != Known || answer.MAC != mac || t.static(n) {
		return answer
	}
	if !t.agenda.add(func(d *duties) { d.doubted[n] = struct{}{} }) {
		return Answer{Err: ErrClosed}
	}
	answer.State, answer.MAC = Pending, [6]byte{}
	return answer
}

// Await calls done once, with the answer for q as soon as the next hop has been
// found, or verified, or has not answered: State then is Unreachable, and Err
// ErrNeighbour. The kernel bounds how long that takes, by some seconds. An
// answer that is not pending any more comes at once.
//
// The call comes from a goroutine of the Table, never from inside Await, and
// none of the Table's locks is held. It must not block for long. When the route
// has changed meanwhile, the answer may name another interface or source than
// before, or be Elsewhere.
//
// The error is ErrClosed; done is not called then.
func (t *Table) Await(q *Query, done func(Answer)) error {
	w := &waiter{query: *q, done: done}
	w.query.Interfaces = slices.Clone(q.Interfaces)
	if !t.agenda.add(func(d *duties) { d.waiters = append(d.waiters, w) }) {
		return ErrClosed
	}
	return nil
}

// LocalAddresses is [LocalAddresses] for the namespace of the Table.
func (t *Table) LocalAddresses() (adapters []Adapter, err error) {
	t.ask.Lock()
	defer t.ask.Unlock()
	if t.conn == nil {
		return nil, ErrClosed
	}
	return t.conn.adapters()
}

func (t *Table) static(n *neighbour) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return n.state&nudStatic != 0
}

// resolve also returns the neighbour that the way leads to, or nil.
func (t *Table) resolve(q *Query) (Answer, *neighbour) {
	f := q.flow()
	t.mu.RLock()
	w := t.ways[f]
	if w == nil || !w.serves(q) {
		t.mu.RUnlock()
		w = t.find(q, f)
		t.mu.RLock()
	}
	answer, wanting := w.answer(q)
	t.mu.RUnlock()
	if wanting && !w.neighbour.noted.Load() {
		t.agenda.noteUse(w.neighbour)
	}
	return answer, w.neighbour
}

// answer makes an answer of a way, and says whether the neighbour wants looking
// after. The caller holds mu.
func (w *way) answer(q *Query) (a Answer, wanting bool) {
	a = Answer{Index: w.index, Source: w.source, SourceMAC: w.sourceMAC, NextHop: w.nextHop, Err: w.err}
	switch n := w.neighbour; {
	case w.err != nil:
	case n == nil || !q.may(w.index):
		a.State = Elsewhere
	case !n.valid():
		a.State = Pending
		return a, true
	default:
		a.State, a.MAC = Known, n.mac
		return a, n.stale()
	}
	return a, false
}

// serves says whether a way is the answer for a query: one to this host
// depends on the interfaces that were tried.
func (w *way) serves(q *Query) bool {
	return w.interfaces == nil || slices.Equal(w.interfaces, q.Interfaces)
}
