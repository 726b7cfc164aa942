// SPDX-License-Identifier: MIT

package route

import (
	"maps"

	"golang.org/x/sys/unix"
)

// find asks the kernel for the way of a flow, and stores it. An error is not
// stored.
func (t *Table) find(q *Query, f flow) *way {
	t.ask.Lock()
	defer t.ask.Unlock()
	t.makeRoom()
	w, err := t.askWay(q, &f)
	if err != nil {
		return &way{err: err}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ways[f] = w
	return w
}

// makeRoom drops everything when there is too much of it, but for the
// neighbours that the worker is busy with. The caller holds ask.
func (t *Table) makeRoom() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if max(len(t.ways), len(t.neighbours)) < t.limit {
		return
	}
	t.ways = make(map[flow]*way)
	maps.DeleteFunc(t.neighbours, func(_ neighbourKey, n *neighbour) bool { return n.goal == goalNone && !n.noted.Load() })
	t.generation.Add(1) // who keeps an answer would hear no more of its neighbour
}

// askWay asks for everything that makes a way. The caller holds ask.
func (t *Table) askWay(q *Query, f *flow) (*way, error) {
	if t.conn == nil {
		return nil, ErrClosed
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	if err := t.checkSource(f); err != nil {
		return nil, err
	}
	w, err := t.conn.askPath(f, q.Interfaces)
	if err != nil || w.kind != unix.RTN_UNICAST || w.tunnel {
		return w, err
	}
	link, err := t.link(w.index)
	if err != nil || !link.ok {
		return w, err
	}
	w.sourceMAC = link.mac
	w.neighbour, err = t.neighbour(neighbourKey{w.index, w.nextHop})
	return w, err
}

// checkSource says why a flow cannot have the source that it wants, or returns
// nil. For IPv6 the kernel does not check, for IPv4 it does not say. The caller
// holds ask.
func (t *Table) checkSource(f *flow) error {
	if !f.local.IsValid() || t.own[f.local] {
		return nil
	}
	own, err := t.conn.isLocal(f.local)
	if err != nil {
		return err
	}
	if !own {
		return f.fail(unix.EADDRNOTAVAIL, "the source is no address of this host")
	}
	t.own[f.local] = true
	return nil
}

// link returns what is known of an interface, which is asked for at the first
// time. The caller holds ask.
func (t *Table) link(index int) (ethernet, error) {
	if link, ok := t.links[index]; ok {
		return link, nil
	}
	link, err := t.conn.askEthernet(index)
	if err == nil {
		t.links[index] = link
	}
	return link, err
}

// neighbour returns a neighbour, which is asked for at the first time. The
// caller holds ask.
func (t *Table) neighbour(key neighbourKey) (*neighbour, error) {
	t.mu.RLock()
	n := t.neighbours[key]
	t.mu.RUnlock()
	if n != nil {
		return n, nil
	}
	state, mac, err := t.conn.askNeighbour(key)
	if err != nil {
		return nil, err
	}
	n = &neighbour{key: key, state: state, mac: mac}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.neighbours[key] = n
	return n, nil
}

// forgetWays drops all ways, and which addresses are this host's: each is asked
// for again when it is needed. It also drops what is known of some interfaces.
func (t *Table) forgetWays(links ...int) {
	t.ask.Lock()
	defer t.ask.Unlock()
	for _, index := range links {
		delete(t.links, index)
	}
	clear(t.own)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ways = make(map[flow]*way) // quicker than to empty a large one
	t.generation.Add(1)
}

// forgetWay drops the way of a flow, and whether it may have its source.
func (t *Table) forgetWay(f flow) {
	t.ask.Lock()
	defer t.ask.Unlock()
	delete(t.own, f.local)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.ways, f)
}
