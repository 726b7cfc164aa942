// SPDX-License-Identifier: MIT

package xsk

import (
	"iter"
	"testing"
)

// explore runs actors that share memory in every order of their accesses, and with
// one of them killed before any access. build makes the memory and the actors anew
// for each run.
//
// A run is given up where it comes to a state that has been met before: what follows
// depends only on the shared memory and on what each actor has seen, that is the
// words that it has accessed, as they were then.
func explore(t *testing.T, build func(*world)) {
	t.Helper()
	e := explorer{met: map[uint64]struct{}{}}
	for more := true; more && !t.Failed(); more = e.backtrack() {
		e.run(t, build)
	}
	t.Logf("%d states, %d runs", len(e.met), e.runs)
}

type explorer struct {
	met     map[uint64]struct{}
	choices []choice
	runs    int
}

// choice is one decision of a run: what comes next, of how many possibilities.
type choice struct{ taken, of int }

// backtrack goes on to the next run, or returns false when there is none.
func (e *explorer) backtrack() bool {
	for n := len(e.choices); n > 0; n-- {
		if last := &e.choices[n-1]; last.taken+1 < last.of {
			last.taken++
			e.choices = e.choices[:n]
			return true
		}
	}
	return false
}

// run runs a world to its end. It begins with the choices of the run before.
func (e *explorer) run(t *testing.T, build func(*world)) {
	e.runs++
	w := &world{}
	build(w)
	defer w.close()
	for depth := 0; w.look(); depth++ {
		if depth == len(e.choices) && !e.branch(w) {
			return
		}
		w.do(e.choices[depth].taken)
		if t.Failed() {
			t.Logf("by the choices %v", e.choices[:depth+1])
			return
		}
	}
	w.atEnd()
}

// branch notes what may come next, or returns false where that has been tried.
func (e *explorer) branch(w *world) bool {
	state := w.state()
	if _, met := e.met[state]; met {
		return false
	}
	e.met[state] = struct{}{}
	e.choices = append(e.choices, choice{of: len(w.ready) + len(w.mortal)})
	return true
}

// world is a set of actors and what they share.
type world struct {
	actors  []*actor
	running *actor
	killed  *actor
	memory  func() []uint64 // all that is shared, models included
	atEnd   func()          // called when no actor can go on

	ready, mortal []*actor // that may go on, or be killed, next
}

type actor struct {
	resume   func() (struct{}, bool)
	stop     func()
	yield    func(struct{}) bool
	ready    func() bool // false while it waits
	killable bool
	word     any    // that it accesses next; nil for any of the memory
	seen     uint64 // hash of what it has seen
	done     bool
}

// atRest is what an actor has seen that waits.
const atRest = 1

// killedError unwinds an actor that is not to go on.
type killedError struct{}

// actor adds an actor, which calls step before each access to what is shared.
func (w *world) actor(killable bool, body func()) {
	a := &actor{killable: killable}
	a.resume, a.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if r := recover(); r != nil && r != (killedError{}) {
				panic(r)
			}
		}()
		a.yield = yield
		body()
	})
	w.actors = append(w.actors, a)
}

// step lets others go on before the running actor accesses a word.
func (w *world) step(word any) {
	w.running.word = word
	if !w.running.yield(struct{}{}) {
		panic(killedError{})
	}
}

// wait holds the running actor until a condition is true. The actor must have nothing
// else in mind meanwhile than what is in the memory.
func (w *world) wait(condition func() bool) {
	w.running.ready, w.running.seen = condition, atRest
	w.step(nil)
}

// look finds the actors that can go on, and those that can be killed, once. It returns
// false when none can go on.
func (w *world) look() bool {
	w.ready, w.mortal = w.ready[:0], w.mortal[:0]
	for _, a := range w.actors {
		if a.done || a == w.killed || a.ready != nil && !a.ready() {
			continue
		}
		w.ready = append(w.ready, a)
		if a.killable && w.killed == nil {
			w.mortal = append(w.mortal, a)
		}
	}
	return len(w.ready) > 0
}

func (w *world) do(taken int) {
	if taken >= len(w.ready) {
		w.killed = w.mortal[taken-len(w.ready)]
		return
	}
	a := w.ready[taken]
	w.running = a
	a.seen = mix(a.seen, w.sees(a))
	a.ready = nil
	_, more := a.resume()
	a.done = !more
}

// sees returns what an actor can learn by its next access.
func (w *world) sees(a *actor) uint64 {
	switch word := a.word.(type) {
	case *uint32:
		return uint64(*word)
	case *uint64:
		return *word
	}
	return w.hash()
}

// state identifies what may follow.
func (w *world) state() uint64 {
	h := w.hash()
	for i, a := range w.actors {
		h = mix(h, a.seen)
		if a.done || a == w.killed {
			h = mix(h, uint64(i))
		}
	}
	return h
}

func (w *world) hash() (h uint64) {
	for _, word := range w.memory() {
		h = mix(h, word)
	}
	return h
}

// mix adds a word to a hash. It must not be symmetric: the hash of what an actor has
// seen is made from hashes of the memory, and would cancel out against them.
func mix(h, word uint64) uint64 {
	h = h*0x9e3779b97f4a7c15 ^ word
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func (w *world) close() {
	for _, a := range w.actors {
		w.running = a
		a.stop()
	}
}
