// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
)

// direct makes the programs of all interfaces redirect a receiver's datagrams to
// the engine, or none. The caller has the engine's lock.
func (e *Engine) direct(r *receiver) error {
	for i, d := range e.ruled {
		if err := e.net.put(d.program, r); err != nil {
			for _, done := range e.ruled[:i] {
				e.net.drop(done.program, r)
			}
			return err
		}
	}
	return nil
}

// undirect ends that. others says whether the port has another receiver. The caller has
// the engine's lock.
func (e *Engine) undirect(r *receiver, others bool) {
	if others && r.id.Len() == 0 {
		return
	}
	for _, d := range e.ruled {
		e.net.drop(d.program, r)
	}
}

// rules counts. The caller has the engine's lock.
func (e *Engine) rules() int { return len(e.receivers) * len(e.ruled) }

// rule gives the programs that are new the rules of all receivers, once every queue of
// their interface is watched: until then the kernel's sockets go on.
func (e *Engine) rule() {
	e.net.mu.Lock()
	var fresh []*device
	for _, d := range e.net.devices {
		if d.complete() && !d.ruled && d.program != nil {
			fresh = append(fresh, d)
		}
	}
	e.net.mu.Unlock()
	for _, d := range fresh {
		if err := e.ruleOne(d); err != nil {
			e.net.retire(d, err)
			e.net.mu.Lock()
			d.failed(err, time.Now())
			e.net.mu.Unlock()
		}
	}
}

// ruleOne puts all rules into one program, or none.
func (e *Engine) ruleOne(d *device) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if d.ruled || d.program == nil { // somebody else has been here
		return nil
	}
	for _, r := range e.receivers {
		if err := e.net.put(d.program, r); err != nil {
			for _, r := range e.receivers {
				e.net.drop(d.program, r)
			}
			return err
		}
	}
	e.ruled = append(e.ruled, d)
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	d.ruled = true
	e.net.note(Info, "interface %s is served by AF_XDP: %s", d.link.name, d.describe())
	return nil
}

// unrule takes the engine's rules out of a program. The caller has the engine's lock.
func (e *Engine) unrule(d *device) {
	if !d.ruled {
		return
	}
	e.ruled = slices.DeleteFunc(e.ruled, func(x *device) bool { return x == d })
	for _, r := range e.receivers {
		e.net.drop(d.program, r)
	}
	e.net.mu.Lock()
	d.ruled = false
	e.net.mu.Unlock()
}

// put makes a rule. One that is there already is a rule of our own, of those who
// share the port, or of somebody who has died: the port is claimed, so nobody who
// lives has it.
func (n *network) put(p *program, r *receiver) error {
	rule := classifier.Exclusive(n.member.Slot())
	if r.id.Len() != 0 {
		rule = classifier.Shared(r.encoding)
	}
	err := p.PutPort(r.port, rule)
	if errors.Is(err, unix.EEXIST) {
		err = p.TakePort(r.port, rule)
	}
	if err != nil || r.id.Len() == 0 {
		return err
	}
	err = p.PutIdentifier(r.port, r.id, n.member.Slot())
	if errors.Is(err, unix.EEXIST) {
		err = p.TakeIdentifier(r.port, r.id, n.member.Slot())
	}
	return err
}

// drop removes a rule. That of a shared port stays: others may have it, and
// without an identifier it gives nothing to anybody.
func (n *network) drop(p *program, r *receiver) {
	slot := n.member.Slot()
	if r.id.Len() != 0 {
		_ = p.DeleteIdentifier(r.port, r.id, slot)
	} else {
		_ = p.DeletePort(r.port, classifier.Exclusive(slot))
	}
}
