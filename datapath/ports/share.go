// SPDX-License-Identifier: MIT

package ports

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

const (
	// patience is how long a newcomer tries to get in: a process that is stopped, or
	// hangs, must not hold it up for ever.
	patience = 5 * time.Second

	// settling is how long sockets may be on a port that nobody shares before they
	// are taken for those of strangers: a process that dies loses its claim a moment
	// before its sockets.
	settling = 250 * time.Millisecond

	// pause lies between two attempts. The kernel gives no sign when a port becomes
	// free, or a claim.
	pause = 2 * time.Millisecond
)

// spares is how many sockets are bound beforehand for those who join, where
// binding one later would mean to open the port to strangers for a moment.
const spares = 16

// shareOrAlone gets a CIBIR listener its port. One that cannot make the steering
// of a port can still join where others have it. Where nobody has, it serves
// alone; it waits for others who have a claim and are not there yet, without
// a claim of its own, for they may be in the same situation.
func (l *Lease) shareOrAlone() error {
	err := l.share()
	for start := time.Now(); errors.Is(err, steering.ErrUnavailable); time.Sleep(pause) {
		l.why = err
		refusal := l.alone()
		if !isForWantOfSteering(refusal) || time.Since(start) > patience {
			return refusal
		}
		if anybody(l.state, l.name()) {
			err = l.share()
		}
	}
	if err == nil {
		l.why = nil
	}
	return err
}

func isForWantOfSteering(err error) bool {
	refused, ok := errors.AsType[*portres.Refused](err)
	return ok && refused.Decision.Reason == rules.NoSteering
}

// share gets a CIBIR listener its part of a shared port: as the first, or beside
// others. There is no claim if it fails.
func (l *Lease) share() (err error) {
	defer func() {
		if err != nil {
			l.unclaim()
		}
	}()
	if l.request.Addr.Port() == 0 {
		return l.shareAnyPort()
	}
	if err := l.claimPort(l.request.Addr.Port(), l.request.party(true)); err != nil {
		return err
	}
	last := l.notLetIn() // why it failed when it was at the door last
	for start := time.Now(); ; time.Sleep(pause) {
		there, err := l.claim.AtDoor(patience-time.Since(start), func() error { return l.comeIn(time.Since(start)) })
		if !there && err == nil {
			return last
		}
		if err == nil || !mayPass(err, time.Since(start)) {
			return err
		}
		last = err
	}
}

// mayPass reports whether what kept a newcomer out for so long may be over soon.
func mayPass(err error, spent time.Duration) bool {
	_, inUse := errors.AsType[*hold.InUse](err)
	return errors.Is(err, errSilent) && spent < patience || inUse && spent < settling
}

// comeIn joins those who share the port, or opens it if there is nobody, at the
// door. A member that does not answer is given the longer the more time was spent.
func (l *Lease) comeIn(spent time.Duration) error {
	err := l.join(spent)
	if errors.Is(err, errNobody) {
		err = l.found()
	}
	return err
}

// found opens the port as the first who shares it, at the door.
func (l *Lease) found() error {
	if err := l.open(l.request.party(true), l.sharing()); err != nil {
		return err
	}
	return l.establish()
}

func (l *Lease) sharing() hold.Options {
	return hold.Options{Shared: true, Spares: spares, NewSocket: l.newMember}
}

// shareAnyPort opens a port of the kernel's choice.
func (l *Lease) shareAnyPort() error {
	if err := l.open(l.request.party(true), l.sharing()); err != nil {
		return err
	}
	there, err := l.claim.AtDoor(patience, l.establish)
	if !there && err == nil {
		err = l.notLetIn()
	}
	if err != nil {
		l.vacate()
	}
	return err
}

// establish makes the steering of a port whose only sockets are ours, at the door.
func (l *Lease) establish() (err error) {
	removeBrokers(l.state, l.name()) // of dead processes: whoever lives has sockets
	l.group, err = steering.Create(l.request.Encoding)
	if err == nil {
		suffix := brokerSuffix
		if len(l.door.Handover().FDs) != 0 { // so it has spares
			suffix = sparesSuffix
		}
		err = l.publish(suffix)
	}
	if err != nil {
		l.vacate()
	}
	return err
}

// publish begins to receive, and to answer newcomers on a socket with this suffix.
func (l *Lease) publish(suffix string) (err error) {
	// Those who had the steering may just have closed their sockets, and with the
	// last of them it left the port.
	if err = l.group.Attach(l.sockets[0]); err != nil {
		return err
	}
	for _, fd := range l.sockets {
		if err = hear(fd); err != nil {
			return err
		}
	}
	if err = l.group.Publish(l.claim.Slot(), l.request.ID, l.sockets); err != nil {
		return err
	}
	l.broker, err = startBroker(l.state, l.name(), suffix, l.answer)
	return err
}

// port is the one that was asked for, or chosen.
func (l *Lease) port() uint16 { return cmp.Or(l.request.Addr.Port(), l.addr.Port()) }

// name is what the files of the port begin with.
func (l *Lease) name() string { return fmt.Sprintf("%v-%d", l.request.Proto, l.port()) }
