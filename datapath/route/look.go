// SPDX-License-Identifier: MIT

package route

// look stores what the kernel knows of a neighbour, after the worker has aimed
// at something or failed to. It returns the goal that has been reached, or that
// cannot be reached because of the error, and goalNone when there is none yet.
func (t *Table) look(n *neighbour, aim goal, failure error) (reached goal, err error) {
	t.ask.Lock()
	defer t.ask.Unlock()
	state, mac, err := t.conn.askNeighbour(n.key)
	if failure != nil {
		err = failure
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n.goal = max(n.goal, aim)
	t.store(n, state, mac)
	if n.goal == goalNone || err == nil && !n.reached() {
		return goalNone, nil
	}
	reached, n.goal = n.goal, goalNone
	n.noted.Store(false)
	if err == nil && !n.valid() {
		err = ErrNeighbour
	}
	return reached, err
}

// store takes over what the kernel said of a neighbour. Answers change when it
// gets, loses or changes its address; and when the address begins to age, those
// who send there are to come by. The caller holds ask and mu.
func (t *Table) store(n *neighbour, state uint16, mac [6]byte) {
	address, aging := n.address(), n.stale()
	n.state, n.mac = state, mac
	if n.address() != address || n.stale() && !aging {
		t.generation.Add(1)
	}
	// One that stays as it is although it was looked after is left alone.
	if n.goal == goalNone && !(n.stale() && aging) {
		n.noted.Store(false)
	}
}

// known returns a neighbour that the Table looks after, or nil.
func (t *Table) known(key neighbourKey) *neighbour {
	t.ask.Lock() // it may be on its way into the map
	defer t.ask.Unlock()
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.neighbours[key]
}

// inDoubt says whether a neighbour has been asked and has not answered yet.
func (t *Table) inDoubt(n *neighbour) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return n.goal == goalAnswer
}
