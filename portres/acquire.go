// SPDX-License-Identifier: MIT

package portres

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Spec is a wish for a port.
type Spec struct {
	Proto rules.Proto
	Port  uint16

	// Party is what the port is wanted for. User and process are always the
	// calling ones. Program and time are filled in where they are missing.
	Party rules.Party

	// AutoPort says that another port would do: the kernel chose this one.
	AutoPort bool

	// What the caller knows besides the claims: the administrator's reservation,
	// and the sockets of other programs at the port.
	Reservation *rules.Reservation
	Kernel      []rules.Party
}

// Acquire makes a claim, or returns a [Refused] that says who is in the way, a
// [VersionError], a [rundir.UnavailableError], or what the kernel refused. It
// waits only while others make claims on the same port, which takes each of
// them less than a millisecond.
func Acquire(dir *rundir.Dir, spec Spec) (*Claim, error) {
	if spec.Party.Kind == rules.Foreign || spec.Port == 0 {
		return nil, kerr.New("claim", fmt.Sprintf("%v port %d, %v", spec.Proto, spec.Port, spec.Party.Kind), unix.EINVAL,
			"a claim is made on a port with a number, and for a socket of ours")
	}
	identify(&spec.Party)
	file, err := dir.OpenLocked(fileName(spec.Proto, spec.Port), gateAt, 1)
	if err != nil {
		return nil, err
	}
	f := portFile{file}
	c := &Claim{file: f, spec: spec}
	if c.decision, err = f.decide(spec); err == nil {
		err = c.commit()
	}
	if err == nil {
		err = f.Unlock(gateAt, 1)
	}
	if err != nil {
		_ = f.drop() // says nothing that err does not
		return nil, err
	}
	return c, nil
}

// Explain returns what would be decided now, for any party and any kind, and
// makes no claim. It waits for nobody.
func Explain(dir *rundir.Dir, spec Spec) (rules.Decision, error) {
	file, err := dir.OpenExisting(fileName(spec.Proto, spec.Port))
	if errors.Is(err, os.ErrNotExist) {
		return spec.judge(nil), nil
	}
	if err != nil {
		return rules.Decision{}, err
	}
	defer file.Close()
	return portFile{file}.decide(spec)
}

// identify fills in who asks.
func identify(p *rules.Party) {
	p.UID = uint32(os.Geteuid())
	p.Process = os.Getpid()
	if p.Program == "" {
		exe, _ := os.Readlink("/proc/self/exe") // without /proc it has no name
		p.Program = strings.TrimSuffix(filepath.Base(exe), " (deleted)")
	}
	if p.Since.IsZero() {
		p.Since = time.Now()
	}
}

// decide asks the rules about a port and who has claims on it.
func (f portFile) decide(spec Spec) (rules.Decision, error) {
	h, held, err := f.holding()
	if err != nil {
		return rules.Decision{}, err
	}
	if !held {
		return spec.judge(nil), nil
	}
	if h.version != Version {
		return rules.Decision{}, &VersionError{spec.Proto, spec.Port, Version, h.version}
	}
	claimants, err := f.holders(h, spec.Party)
	if err != nil {
		return rules.Decision{}, err
	}
	return spec.judge(claimants), nil
}

// judge asks the rules.
func (s *Spec) judge(claimants []rules.Party) rules.Decision {
	return rules.Decide(rules.State{
		Proto: s.Proto, Port: s.Port,
		Holders:     append(claimants, s.Kernel...),
		Reservation: s.Reservation,
	}, rules.Request{Party: s.Party, AutoPort: s.AutoPort})
}

// commit does what was decided. Its last lock is the one by which [List] finds
// the claim: what is said of it is in place then.
func (c *Claim) commit() error {
	p := &c.spec.Party
	h := holding{version: Version, uid: p.UID}
	switch c.decision.Outcome {
	case rules.Granted, rules.ServesAlone:
		p.Alone = c.decision.Outcome == rules.ServesAlone
		_ = c.describe()
		return c.file.take(h.claimByte(), false)
	case rules.Opens, rules.Joins:
		h.encoding = p.Encoding
		if err := c.file.take(h.claimByte(), true); err != nil {
			return err
		}
		if err := c.takeSlot(); err != nil {
			return err
		}
		_ = c.describe()
		return c.file.take(identifierByte(p.ID, c.slot), false)
	}
	return &Refused{c.decision}
}

// takeSlot begins at a random place: what a dead member left elsewhere under
// its slot, such as entries of a BPF map, is then seldom met.
func (c *Claim) takeSlot() error {
	for i, start := 0, rand.IntN(Slots); i < Slots; i++ {
		c.slot = uint32((start + i) % Slots)
		ok, err := c.file.TryLock(slotAt+int64(c.slot), 1)
		if ok || err != nil {
			return err
		}
	}
	return kerr.New("claim", c.file.Name(), unix.EADDRINUSE, fmt.Sprintf("%d CIBIR listeners share the port, and there is no room for more", Slots))
}
