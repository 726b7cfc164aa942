// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/reserve"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// maxTries bounds how often a newcomer starts again because the process that it
// wanted to join has just gone.
const maxTries = 8

// share gets a CIBIR listener its part of a shared port: as the first, or beside
// others.
func (l *Lease) share() error {
	if !unspecified(l.request.Addr.Addr()) {
		return &steering.UnavailableError{Need: "a listener on [::], the address on which ports are shared", Err: unix.EADDRNOTAVAIL}
	}
	if l.request.Addr.Port() == 0 {
		return l.found(nil)
	}
	var err error
	for range maxTries {
		if err = l.shareOnce(l.request.Addr.Port()); !errors.Is(err, errNoMember) {
			return err
		}
	}
	return err
}

// shareOnce begins with what a newcomer connects to, so that whoever finds our
// claim finds that as well, and waits until we are ready to answer.
func (l *Lease) shareOnce(port uint16) error {
	b, err := l.newBroker(port)
	if err != nil {
		return err
	}
	if err = l.claimPort(port, l.request.party(true)); err != nil {
		b.close()
		return err
	}
	if l.claim.Decision().Outcome == rules.Opens {
		err = l.found(b)
	} else if err = l.join(); err == nil {
		err = l.publish(b)
	}
	if err != nil {
		b.close()
		_ = l.claim.Release()
		l.claim = nil
	}
	return err
}

func (l *Lease) newBroker(port uint16) (*broker, error) {
	reservation, err := l.request.reservation(port)
	if err != nil {
		return nil, err
	}
	others := reservation != nil && !reservation.Exclusive
	return newBroker(l.state, l.request.name(port), others)
}

// found makes the steering, and opens the port as the first. Without a broker
// the port is of the kernel's choice.
func (l *Lease) found(b *broker) (err error) {
	group, err := steering.Create(l.request.Encoding)
	if err != nil {
		return err
	}
	if err = l.open(l.request.party(true), hold.Options{Shared: true, Spares: spares}, l.newMember); err != nil {
		group.Close()
		return err
	}
	l.group = group
	if err = group.Attach(l.sockets[0]); err != nil {
		return err
	}
	if b == nil {
		if b, err = l.newBroker(l.addr.Port()); err != nil {
			return err
		}
	}
	return l.publish(b)
}

// spares is how many sockets are bound beforehand for those who join, where
// binding one later would mean to open the port to strangers for a moment.
const spares = 16

// publish begins to receive, and to answer newcomers.
func (l *Lease) publish(b *broker) error {
	for _, fd := range l.sockets {
		if err := hear(fd); err != nil {
			return err
		}
	}
	if err := l.group.Publish(l.claim.Slot(), l.request.ID, l.sockets); err != nil {
		return err
	}
	l.broker = b
	b.serve(l.answer)
	return nil
}

// newMember makes a socket that hears nothing until its process publishes it.
func (l *Lease) newMember() (int, error) {
	fd, err := l.request.New()
	if err != nil {
		return -1, err
	}
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err == nil && cookie != l.state.Namespace().Cookie {
		err = errors.New("the thread is in another network namespace than the port")
	}
	if err == nil {
		err = deaf(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// join gets from a member what all members have, and our sockets.
func (l *Lease) join() error {
	return visit(l.state, l.request.name(l.request.Addr.Port()), func(g *guest) error {
		if err := l.adopt(g); err != nil {
			return err
		}
		if err := l.admit(g); err != nil {
			l.group.Close()
			l.door.Release()
			l.group, l.door = nil, nil
			return err
		}
		return nil
	})
}

func (l *Lease) adopt(g *guest) error {
	a, fds, err := g.ask(opJoin, 0)
	if err != nil {
		return err
	}
	const parts = len(steering.FDs{})
	if len(fds) < parts {
		closeAll(fds)
		return fmt.Errorf("a member of the port hands over %d descriptors, where %d or more are due", len(fds), parts)
	}
	group, err := steering.Adopt(steering.FDs(fds[:parts]))
	if err != nil {
		closeAll(fds[parts:])
		return err
	}
	handover := hold.Handover{Owned: a.Owned != 0, FDs: fds[parts:]}
	door, err := hold.Adopt(hold.Options{
		Proto: l.request.Proto, Addr: l.request.Addr, Shared: true, NewSocket: l.newMember,
	}, handover)
	if err == nil && group.Encoding() != l.request.Encoding {
		door.Release()
		err = fmt.Errorf("the port is shared by identifiers at %v, and this one is at %v", group.Encoding(), l.request.Encoding)
	}
	if err != nil {
		group.Close()
		return err
	}
	l.group, l.door, l.tier, l.addr = group, door, door.Tier(), door.Addr()
	return nil
}

// admit gets our sockets: made here where the kernel lets us, else by the member.
func (l *Lease) admit(g *guest) error {
	n := l.request.Sockets
	sockets, own := l.door.Admit(n)
	if own != nil {
		var err error
		if _, sockets, err = g.ask(opSockets, n); err != nil {
			return errors.Join(own, err)
		}
		if len(sockets) != n {
			closeAll(sockets)
			return fmt.Errorf("a member of the port hands over %d sockets, where %d are due", len(sockets), n)
		}
	}
	l.sockets = sockets
	_ = l.claim.SetTier(l.tier)
	return nil
}

// answer serves a newcomer.
func (l *Lease) answer(peer *unix.Ucred, q question) (a answer, fds []int, owned bool) {
	a = answer{Magic: magic, Version: version}
	refuse := func(errno unix.Errno, err error) {
		a.Errno = uint32(errno)
		copy(a.Reason[:len(a.Reason)-1], err.Error())
	}
	if !l.admits(peer) {
		refuse(unix.EACCES, fmt.Errorf("user %d may not join a port of user %d; a reservation can permit it", peer.Uid, unix.Geteuid()))
		return a, nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch q.Op {
	case opJoin:
		parts, handover := l.group.FDs(), l.door.Handover()
		if handover.Owned {
			a.Owned = 1
		}
		return a, append(parts[:], handover.FDs...), false
	case opSockets:
		if q.Count == 0 || q.Count > steering.MaxSockets {
			refuse(unix.EINVAL, fmt.Errorf("%d sockets are wanted, where 1 to %d are given", q.Count, steering.MaxSockets))
			return a, nil, false
		}
		fds, err := l.door.Admit(int(q.Count))
		if err != nil {
			refuse(kerr.Errno(err), err)
		}
		return a, fds, true
	}
	refuse(unix.EOPNOTSUPP, fmt.Errorf("operation %d is unknown", q.Op))
	return a, nil, false
}

// admits reports whether a process may join: one of the same user, or one that
// a reservation of the port permits.
func (l *Lease) admits(peer *unix.Ucred) bool {
	if peer.Uid == uint32(unix.Geteuid()) {
		return true
	}
	r, err := reserve.For(l.request.Proto, l.addr.Port(), peer.Uid, []uint32{peer.Gid})
	return err == nil && r != nil && r.Permitted && !r.Exclusive
}
