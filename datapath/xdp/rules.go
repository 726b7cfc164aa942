// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
)

// direct makes the programs of all interfaces redirect a receiver's datagrams to
// the engine, or none.
func (n *network) direct(r *receiver) error {
	for i, p := range n.programs {
		if err := n.put(p, r); err != nil {
			for _, done := range n.programs[:i] {
				n.drop(done, r)
			}
			return err
		}
	}
	n.rules += len(n.programs)
	return nil
}

// undirect ends that. others says whether the port has another receiver.
func (n *network) undirect(r *receiver, others bool) {
	n.rules -= len(n.programs)
	if others && r.id.Len() == 0 {
		return
	}
	for _, p := range n.programs {
		n.drop(p, r)
	}
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
