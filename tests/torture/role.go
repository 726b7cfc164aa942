// SPDX-License-Identifier: MIT

package torture

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// part is a role as it is given out.
type part struct {
	id      identifier
	xdp     bool // it asks for AF_XDP
	quic    bool // it is one of the demo's
	witness bool // it is hurt only with all others
}

// role is what one server after the other plays: the owner of an identifier.
type role struct {
	part

	stream    *stream    // nil if quic
	exchanges *exchanges // nil if not
	weather   weather    // what was done to it
	up        atomic.Bool

	// What follows belongs to the conductor's thread, and but for proc it is a function of the
	// seed.
	proc    *process
	slot    int // in the pools; -1: not known
	stopped bool
	limited bool
	child   bool
	claims  []identifier
}

func (r *role) String() string {
	kind := "kernel"
	if r.xdp {
		kind = "xdp"
	}
	if r.quic {
		kind = "quic," + kind
	}
	return fmt.Sprintf("%v(%s)", r.id, kind)
}

// serves reports whether there is a process that could answer.
func (r *role) serves() bool { return r.up.Load() }

// launch starts a process for the role.
func (c *Conductor) launch(r *role) error {
	program, args := c.Server, []string{fmt.Sprint(c.port), "1", "kernel", r.id.String()}
	if r.xdp {
		args[2] = "xdp"
	}
	if r.quic {
		program, args = c.QUICServer, c.quic.Arguments(r.id[:], r.xdp)
	}
	start := func() (pid int, err error) {
		r.proc, err = launch(c.net.Server, c.environ(), program, args...)
		if err != nil {
			return 0, err
		}
		return r.proc.pid, nil
	}
	r.slot, r.stopped, r.limited, r.child, r.claims = -1, false, false, false, nil
	if r.stream == nil {
		_, err := start()
		return err
	}
	return r.stream.ownWhoStarts(start, &r.weather)
}

// ready waits until the role's process serves. Who is refused is started again, for a while: of
// a process that was killed a child may still be there.
func (c *Conductor) ready(r *role) error {
	for begin := time.Now(); ; {
		_, err := r.proc.answer()
		if err == nil {
			c.joins++
			c.served(r)
			return nil
		}
		c.gone(r)
		if refused := refusal(""); !errors.As(err, &refused) && !r.quic || time.Since(begin) > patience {
			return fmt.Errorf("%v does not start, for %v: %w: %s", r, time.Since(begin), err, &r.proc.said)
		}
		c.refusals++
		time.Sleep(10 * time.Millisecond)
		if err := c.launch(r); err != nil {
			return err
		}
	}
}

// patience is how long a port may be refused when nothing is in the way.
const patience = 10 * time.Second

// served says that the role's process serves.
func (c *Conductor) served(r *role) {
	if r.stream != nil {
		r.stream.settle(r.proc.pid)
	}
	r.up.Store(true)
	r.weather.end()
	if r.xdp {
		r.slot = c.slotOf(r.proc.pid)
		if r.witness {
			c.ifindex.Store(int64(c.net.ifindex))
			c.witnessSlot.Store(int64(r.slot))
		}
	}
}

// gone ends what is left of the role's process, which has ended, or is to.
func (c *Conductor) gone(r *role) {
	r.proc.kill()
	c.disown(r)
}

func (c *Conductor) disown(r *role) {
	for _, s := range c.streams() {
		s.disown(r.proc.pid)
	}
	r.claims = nil
}

// kill kills the role's process, and begins to measure how long the others have its frames
// missing.
func (c *Conductor) kill(r *role) {
	r.weather.begin()
	r.up.Store(false)
	c.gone(r)
	c.kills++
	if r.xdp && r.slot >= 0 {
		c.watchRecovery(r.slot, time.Now())
	}
}

func (c *Conductor) restart(r *role) error {
	if err := c.launch(r); err != nil {
		return err
	}
	return c.ready(r)
}
