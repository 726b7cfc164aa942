// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres/hold"
)

const (
	// A member has a tenth of the time that the newcomer has spent for its first
	// answer, and at least so much: one that is stopped should not cost much where
	// others answer.
	leastPatience = 50 * time.Millisecond

	// bindPatience is how long a member has to bind sockets.
	bindPatience = time.Second
)

// join gets from a member what all members have, and our sockets, at the door.
// The error is errNobody where there is no member, else a joinError.
func (l *Lease) join(spent time.Duration) error {
	failures := visit(l.state, l.name(), max(spent/10, leastPatience), l.joinBy)
	switch {
	case failures == nil:
		return nil
	case len(failures) == 0:
		return errNobody
	}
	return l.notLetIn(failures...)
}

func (l *Lease) joinBy(g *guest) error {
	handover, err := l.adopt(g)
	if err == nil {
		err = l.admit(g, handover)
	}
	if err == nil {
		l.tier, l.addr = l.door.Tier(), l.door.Addr()
		err = l.publish(brokerSuffix)
	}
	if err != nil {
		l.vacate()
	}
	return err
}

// adopt gets the steering and the door.
func (l *Lease) adopt(g *guest) (h hold.Handover, err error) {
	a, fds, err := g.ask(opJoin, 0)
	if err != nil {
		return h, err
	}
	const parts = len(steering.FDs{})
	if len(fds) < parts {
		descriptors.CloseAll(fds)
		return h, fmt.Errorf("it hands over %d descriptors, where %d or more are due", len(fds), parts)
	}
	h = hold.Handover{Owned: a.Owned != 0, FDs: fds[parts:]}
	if l.group, err = steering.Adopt(steering.FDs(fds[:parts])); err != nil {
		descriptors.CloseAll(h.FDs)
		return h, err
	}
	l.door, err = hold.Adopt(hold.Options{
		Proto: l.request.Proto, Addr: l.request.Addr, Shared: true, NewSocket: l.newMember,
	}, h)
	if err == nil && l.group.Encoding() != l.request.Encoding {
		err = fmt.Errorf("it shares the port by identifiers at %v, and this one is at %v", l.group.Encoding(), l.request.Encoding)
	}
	return h, err
}

// admit gets our sockets: bound here, or by the member. The other way is for
// where the kernel asks for a privilege or for the member's user. A guarded port
// is not opened if the member has sockets to spare.
func (l *Lease) admit(g *guest, h hold.Handover) error {
	ways := []func(*guest) ([]int, error){l.bindOwn, l.askForSockets}
	if len(h.FDs) != 0 {
		slices.Reverse(ways)
	}
	var failures []error
	for _, way := range ways {
		sockets, err := way(g)
		if err == nil {
			l.sockets = sockets
			return nil
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

func (l *Lease) bindOwn(*guest) ([]int, error) { return l.door.Admit(l.request.Sockets) }

func (l *Lease) askForSockets(g *guest) ([]int, error) {
	g.patience = bindPatience
	_, fds, err := g.ask(opSockets, l.request.Sockets)
	if err != nil {
		return nil, err
	}
	if len(fds) != l.request.Sockets {
		err = fmt.Errorf("it hands over %d sockets, where %d are due", len(fds), l.request.Sockets)
	}
	for _, fd := range fds {
		err = errors.Join(err, l.checkMember(fd))
	}
	if err != nil {
		descriptors.CloseAll(fds)
		return nil, err
	}
	return fds, nil
}
