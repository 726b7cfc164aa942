// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// solicit makes the kernel find or check the address of a neighbour that is in
// a state, and returns what is to come of it.
func (w *worker) solicit(key neighbourKey, state uint16) (goal, error) {
	switch {
	case state&unix.NUD_INCOMPLETE != 0:
		return goalAddress, nil // it is at it
	case state&nudValid == 0:
		return goalAddress, w.orKnock(key, w.conn.useNeighbour(key))
	case state&unix.NUD_STALE != 0:
		return goalNone, w.orKnock(key, w.conn.useNeighbour(key))
	}
	return goalNone, nil
}

// verify makes the kernel ask a neighbour again.
func (w *worker) verify(key neighbourKey, state uint16) (goal, error) {
	switch {
	case state&nudStatic != 0:
		return goalNone, nil
	case state&nudValid == 0:
		return w.solicit(key, state)
	case state&unix.NUD_PROBE != 0:
		return goalAnswer, nil // it is at it
	}
	return goalAnswer, w.orKnock(key, w.conn.probeNeighbour(key))
}

// orKnock is for a process that may not tell the kernel what to do. The kernel
// then decides whether to ask: it does not for an address that it is sure of.
func (w *worker) orKnock(key neighbourKey, err error) error {
	if errors.Is(err, unix.EPERM) {
		return w.knocker.knock(key)
	}
	return err
}

// useNeighbour has the kernel do what it does when it sends to a neighbour: ask
// for its address, or check it some time later if it is stale. A permanent
// entry would cease to be one.
func (c *conn) useNeighbour(key neighbourKey) error {
	return c.setNeighbour(neighbourMessage{key: key, flags: unix.NTF_USE}, "use")
}

// probeNeighbour has the kernel ask a neighbour at its address whether it is
// still there.
func (c *conn) probeNeighbour(key neighbourKey) error {
	return c.setNeighbour(neighbourMessage{key: key, state: unix.NUD_PROBE}, "probe")
}

func (c *conn) setNeighbour(m neighbourMessage, op string) error {
	_, err := c.exchange(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK, 0, m.parts())
	if err != nil {
		return &Error{Op: op + " neighbour", Args: m.key.String(), Err: err}
	}
	return nil
}

func (k neighbourKey) String() string { return fmt.Sprintf("%v, interface %d", k.ip, k.index) }
