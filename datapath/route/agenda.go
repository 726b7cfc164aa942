// SPDX-License-Identifier: MIT

package route

import "sync"

// agenda is where anybody leaves what the worker of a Table has to do.
type agenda struct {
	mu     sync.Mutex    // taken last, never held while anything is waited for
	wake   chan struct{} // holds a token when there is something to do
	todo   duties
	closed bool
}

// duties are what is to be done in one go.
type duties struct {
	everything bool                      // announcements were lost: look at all
	links      map[int]struct{}          // these interfaces changed, or their addresses
	routes     bool                      // some route or rule changed
	neighbours map[neighbourKey]struct{} // these changed
	used       []*neighbour              // somebody sends to these
	doubted    map[*neighbour]struct{}   // somebody doubts that these are there
	waiters    []*waiter                 // these are new
}

// waiter is somebody to be called.
type waiter struct {
	query Query
	done  func(Answer)
}

func newDuties() duties {
	return duties{links: make(map[int]struct{}), neighbours: make(map[neighbourKey]struct{}), doubted: make(map[*neighbour]struct{})}
}

// add calls f to add to the duties, and wakes the worker. It reports false when
// the Table is closed.
func (a *agenda) add(f func(*duties)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	f(&a.todo)
	a.signal()
	return true
}

// noteUse adds a neighbour that a datagram goes to, unless it is there already
// or the worker is still at it.
func (a *agenda) noteUse(n *neighbour) {
	a.add(func(d *duties) {
		if !n.noted.Swap(true) {
			d.used = append(d.used, n)
		}
	})
}

// close makes take say so, and every later add fail.
func (a *agenda) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.signal()
}

func (a *agenda) signal() {
	select {
	case a.wake <- struct{}{}:
	default: // the worker has not come for the last token
	}
}

// take waits for something to do.
func (a *agenda) take() (d duties, closed bool) {
	<-a.wake
	a.mu.Lock()
	defer a.mu.Unlock()
	d, a.todo = a.todo, newDuties()
	return d, a.closed
}
