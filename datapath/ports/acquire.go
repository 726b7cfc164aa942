// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Acquire gets a listener its port, in the network namespace of the calling
// thread.
//
// A refusal by the rules is a [portres.Refused], which names the holder; its
// errno is EADDRINUSE, or EOPNOTSUPP where a shared port cannot be joined for
// want of steering. Where there is no state directory a listener is kept by the
// kernel alone, and a CIBIR listener serves alone: see [Lease.Shortfall].
func Acquire(r Request) (*Lease, error) {
	if err := r.validate(); err != nil {
		return nil, kerr.New("listen", r.describe(), unix.EINVAL, err.Error())
	}
	l := &Lease{request: r}
	most, err := strongestTier()
	if err != nil {
		return nil, err
	}
	l.most = most
	if l.state, err = rundir.Open(""); err != nil {
		l.state, l.why = nil, err
	}
	if err := l.acquire(); err != nil {
		l.Release()
		return nil, err
	}
	return l, nil
}

func (r *Request) describe() string { return fmt.Sprintf("%v %v", r.Proto, r.Addr) }

func (l *Lease) acquire() error {
	if l.request.ID.Len() == 0 || l.state == nil {
		return l.alone()
	}
	err := l.share()
	if errors.Is(err, steering.ErrUnavailable) {
		l.why = err
		return l.alone()
	}
	return err
}

// alone gets the port exclusively.
func (l *Lease) alone() error {
	party := l.request.party(false)
	if port := l.request.Addr.Port(); port != 0 {
		if err := l.claimPort(port, party); err != nil {
			return err
		}
	}
	return l.open(party, hold.Options{}, l.request.New)
}

// maxPorts bounds how many ports of the kernel's choice are tried.
const maxPorts = 64

// open binds the sockets, and claims the port if the kernel chose it.
func (l *Lease) open(party rules.Party, o hold.Options, newSocket func() (int, error)) error {
	o.Proto, o.Addr, o.Members, o.NewSocket, o.Most = l.request.Proto, l.request.Addr, l.request.Sockets, newSocket, l.most
	var passed []func() // a port that is not for us stays bound, so that it is not chosen again
	defer func() {
		for _, undo := range passed {
			undo()
		}
	}()
	for {
		door, sockets, err := hold.Open(o)
		if err != nil {
			return l.inUse(err, party)
		}
		if l.claim == nil {
			err = l.claimPort(door.Addr().Port(), party)
		}
		if err == nil {
			l.door, l.sockets, l.tier, l.addr = door, sockets, door.Tier(), door.Addr()
			if l.claim != nil {
				_ = l.claim.SetTier(l.tier) // for people only
			}
			return nil
		}
		passed = append(passed, func() { door.Release(); closeAll(sockets) })
		if o.Addr.Port() != 0 || len(passed) == maxPorts || !isRefused(err) {
			return err
		}
	}
}

func isRefused(err error) bool {
	var refused *portres.Refused
	var version *portres.VersionError
	return errors.As(err, &refused) || errors.As(err, &version)
}

// claimPort makes the claim, where there is a place for it.
func (l *Lease) claimPort(port uint16, party rules.Party) error {
	reservation, err := l.request.reservation(port)
	if err != nil {
		return err
	}
	auto := l.request.Addr.Port() == 0
	if l.state == nil {
		return judge(l.request.Proto, port, rules.Request{Party: party, AutoPort: auto}, nil, reservation)
	}
	l.claim, err = portres.Acquire(l.state, portres.Spec{
		Proto: l.request.Proto, Port: port, Party: party, AutoPort: auto, Reservation: reservation,
	})
	return err
}

// judge asks the rules where there are no claims to look at.
func judge(proto rules.Proto, port uint16, ask rules.Request, holders []rules.Party, reservation *rules.Reservation) error {
	d := rules.Decide(rules.State{Proto: proto, Port: port, Holders: holders, Reservation: reservation}, ask)
	if d.Outcome == rules.Refused || d.Outcome == rules.OtherPort {
		return &portres.Refused{Decision: d}
	}
	return nil
}

// inUse lets the rules word it when the kernel says that others have the port.
func (l *Lease) inUse(err error, party rules.Party) error {
	var in *hold.InUse
	if !errors.As(err, &in) || len(in.Holders) == 0 {
		return err
	}
	refusal := judge(in.Proto, in.Addr.Port(), rules.Request{Party: party}, in.Holders, nil)
	if refusal == nil {
		return err
	}
	return refusal
}

// unspecified is where CIBIR listeners share a port.
func unspecified(a netip.Addr) bool { return a.Is6() && a.IsUnspecified() }
