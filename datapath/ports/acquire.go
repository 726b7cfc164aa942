// SPDX-License-Identifier: MIT

package ports

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Acquire gets a listener its port, in the network namespace of the calling
// thread.
//
// Every conflict is an EADDRINUSE. A refusal by the rules is a [portres.Refused],
// which names the holder; its errno is EOPNOTSUPP instead where a shared port
// cannot be joined for want of steering. Where there is no state directory a
// listener is kept by the kernel alone, and a CIBIR listener serves alone: see
// [Lease.Shortfall]. Reservations that cannot be read are an error.
//
// It may wait for others who join the same port, and for a process that is
// stopped while it opens or shares the port, but not for more than some seconds.
func Acquire(r Request) (*Lease, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	most, err := strongestTier()
	if err != nil {
		return nil, err
	}
	l := &Lease{request: r, most: most}
	l.state, err = rundir.Open("")
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) { // there may well be claims
		return nil, err
	}
	if err != nil {
		l.state, l.why = nil, err
	}
	if err := l.acquire(); err != nil {
		l.Release()
		return nil, l.inUse(err)
	}
	if l.claim != nil {
		_ = l.claim.SetTier(l.tier) // for people only
	}
	return l, nil
}

func (l *Lease) acquire() error {
	if l.request.ID.Len() == 0 {
		return l.alone()
	}
	if l.why == nil {
		l.why = l.request.unshareable()
	}
	if l.why != nil {
		return l.alone()
	}
	return l.shareOrAlone()
}

// alone gets the port exclusively.
func (l *Lease) alone() error {
	party := l.request.party(false)
	if port := l.request.Addr.Port(); port != 0 {
		if err := l.claimPort(port, party); err != nil {
			return err
		}
	}
	return l.open(party, hold.Options{NewSocket: l.request.New})
}

// maxPorts bounds how many ports of the kernel's choice are tried.
const maxPorts = 64

// open binds the sockets, and claims the port if the kernel chose it.
func (l *Lease) open(party rules.Party, o hold.Options) error {
	o.Proto, o.Addr, o.Members, o.Most = l.request.Proto, l.request.Addr, l.request.Sockets, l.most
	var passed []func() // a port that is not for us stays bound, so that it is not chosen again
	defer func() {
		for _, undo := range passed {
			undo()
		}
	}()
	for {
		door, sockets, err := hold.Open(o)
		if err != nil {
			return err
		}
		if l.claim == nil {
			err = l.claimPort(door.Addr().Port(), party)
		}
		if err == nil {
			l.door, l.sockets, l.tier, l.addr = door, sockets, door.Tier(), door.Addr()
			return nil
		}
		passed = append(passed, func() { door.Release(); descriptors.CloseAll(sockets) })
		if o.Addr.Port() != 0 || len(passed) == maxPorts || !isRefused(err) {
			return err
		}
	}
}

func isRefused(err error) bool {
	_, refused := errors.AsType[*portres.Refused](err)
	_, version := errors.AsType[*portres.VersionError](err)
	return refused || version
}

// claimPort makes the claim, where there is a place for it.
func (l *Lease) claimPort(port uint16, party rules.Party) error {
	reservation, err := l.request.reservation(port)
	if err != nil {
		return err
	}
	auto := l.request.Addr.Port() == 0
	if l.state == nil {
		return judge(rules.State{Proto: l.request.Proto, Port: port, Reservation: reservation}, rules.Request{Party: party, AutoPort: auto})
	}
	l.claim, err = portres.Acquire(l.state, portres.Spec{
		Proto: l.request.Proto, Port: port, Party: party, AutoPort: auto, Reservation: reservation,
	})
	return err
}

// judge asks the rules where there are no claims to look at.
func judge(s rules.State, ask rules.Request) error {
	d := rules.Decide(s, ask)
	if d.Outcome == rules.Refused || d.Outcome == rules.OtherPort {
		return &portres.Refused{Decision: d}
	}
	return nil
}

// inUse lets the rules word it when the kernel says that others have the port.
func (l *Lease) inUse(err error) error {
	in, ok := errors.AsType[*hold.InUse](err)
	if _, joining := errors.AsType[*joinError](err); !ok || joining || in.Entered || len(in.Holders) == 0 {
		return err
	}
	refusal := judge(rules.State{Proto: in.Proto, Port: in.Addr.Port(), Holders: in.Holders}, rules.Request{Party: l.request.party(false)})
	if refusal == nil {
		return err
	}
	return refusal
}
