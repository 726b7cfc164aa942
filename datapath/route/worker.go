// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"maps"
	"slices"
)

// worker keeps true what a Table knows, and calls those who wait. It runs on
// one goroutine, which its fields belong to.
//
// Its questions and orders go through a socket of its own, so that nobody who
// asks the Table waits for a lock of the kernel that the worker waits for.
type worker struct {
	t       *Table
	conn    *conn
	knocker knocker
	waiting map[*neighbour][]*waiter
	calls   []call // to be made when no lock is held
}

type call struct {
	done   func(Answer)
	answer Answer
}

func (w *worker) open() (err error) {
	if w.conn, err = dial(); err != nil {
		return err
	}
	w.knocker, err = newKnocker(w.conn)
	return err
}

func (w *worker) closeSockets() {
	if w.conn != nil {
		w.conn.socket.Close()
	}
	w.knocker.close()
}

// run works until the Table is closed.
func (w *worker) run() {
	defer w.closeSockets()
	for {
		d, closed := w.t.agenda.take()
		if closed {
			w.dismiss(d.waiters)
			w.call()
			return
		}
		w.perform(&d)
		w.call()
		if w.t.changed != nil && (d.everything || len(d.links) != 0) {
			w.t.changed()
		}
	}
}

// call makes the calls that are due.
func (w *worker) call() {
	for _, c := range w.calls {
		c.done(c.answer)
	}
	w.calls = nil
}

// perform does what is to be done, in an order in which nothing is taken for
// settled that another duty unsettles.
func (w *worker) perform(d *duties) {
	if d.everything {
		w.t.addEverything(d)
	}
	if d.routes || len(d.links) != 0 {
		w.conn.awaitChanges()
		w.t.forgetWays(slices.Collect(maps.Keys(d.links))...)
		d.waiters = append(d.waiters, w.release()...) // each may have another next hop now
	}
	for _, n := range d.used {
		w.act(n, w.solicit)
	}
	for n := range d.doubted {
		w.act(n, w.verify)
	}
	for key := range d.neighbours {
		if n := w.t.known(key); n != nil {
			w.lookAfter(n, goalNone, nil)
		}
	}
	for _, waiter := range d.waiters {
		w.settle(waiter)
	}
}

// act sets the kernel to work on a neighbour, and then looks after it.
func (w *worker) act(n *neighbour, action func(key neighbourKey, state uint16) (goal, error)) {
	aim := goalNone
	state, _, err := w.conn.askNeighbour(n.key)
	if err == nil {
		aim, err = action(n.key, state)
	}
	w.lookAfter(n, aim, err)
}

// lookAfter brings what is known of a neighbour up to date, and tells those who
// wait for it if that settles something. aim is what the kernel has been made
// to find out, err why it could not be.
func (w *worker) lookAfter(n *neighbour, aim goal, err error) {
	reached, err := w.t.look(n, aim, err)
	if reached == goalNone {
		return
	}
	if reached == goalAnswer && errors.Is(err, ErrNeighbour) {
		w.act(n, w.solicit) // it may have moved: the question went to the address it had
		return
	}
	waiters := w.waiting[n]
	delete(w.waiting, n)
	for _, waiter := range waiters {
		if err != nil {
			w.tell(waiter, Answer{Err: err})
		} else {
			w.settle(waiter)
		}
	}
}

// settle tells a waiter the answer, or lets it wait for the neighbour on which
// the answer depends.
func (w *worker) settle(waiter *waiter) {
	for {
		answer, n := w.t.resolve(&waiter.query)
		if answer.State != Pending && !(answer.State == Known && w.t.inDoubt(n)) {
			w.tell(waiter, answer)
			return
		}
		if w.t.known(n.key) == n { // and will be until it is settled: it is noted, or aimed at
			w.waiting[n] = append(w.waiting[n], waiter)
			return
		}
	}
}

func (w *worker) tell(waiter *waiter, answer Answer) {
	w.calls = append(w.calls, call{waiter.done, answer})
}

// release returns all who wait, and leaves none.
func (w *worker) release() (all []*waiter) {
	for n, waiters := range w.waiting {
		all = append(all, waiters...)
		delete(w.waiting, n)
	}
	return all
}

// dismiss tells everybody that the Table is closed.
func (w *worker) dismiss(newcomers []*waiter) {
	for _, waiter := range append(newcomers, w.release()...) {
		w.tell(waiter, Answer{Err: ErrClosed})
	}
}

// addEverything is for when it is not known what changed.
func (t *Table) addEverything(d *duties) {
	t.ask.Lock()
	defer t.ask.Unlock()
	d.routes = true
	for index := range t.links {
		d.links[index] = struct{}{}
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for key := range t.neighbours {
		d.neighbours[key] = struct{}{}
	}
}
