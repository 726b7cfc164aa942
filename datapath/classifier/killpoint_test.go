// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/killpoint"
)

// victimEnv makes the test program do all that is done to a classifier: its value is the number of an
// interface, and of the link that is there, or 0.
const victimEnv = "CLASSIFIER_TEST_VICTIM"

// Of the victim, and of who has a rule all the time.
const victimSlot, otherSlot = 7, 8

func victimMain() {
	runtime.LockOSThread()
	killpoint.Begin()
	err := beVictim()
	killpoint.End()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func beVictim() (err error) {
	var ifindex int
	var id uint32
	if _, err := fmt.Sscan(os.Getenv(victimEnv), &ifindex, &id); err != nil {
		return err
	}
	var c *Classifier
	if id != 0 {
		c, err = Open(id)
	} else if c, err = Load(Options{}); err == nil {
		_, err = c.Attach(ifindex, AnyMode)
	}
	if err != nil {
		return err
	}
	socket, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	return errors.Join(err,
		c.ClearSlot(victimSlot),
		c.SetAddresses(addresses("10.0.0.2", "fd00::2")),
		c.PutSocket(victimSlot, 0, socket),
		c.PutPort(1001, Exclusive(victimSlot)),
		c.PutIdentifier(sharedPort, identifier(usual.Length, 1), victimSlot),
		c.PutIdentifier(sharedPort, identifier(usual.Length, 3), victimSlot),
		c.TakeIdentifier(sharedPort, identifier(usual.Length, 3), victimSlot),
		c.DeleteIdentifier(sharedPort, identifier(usual.Length, 1), victimSlot),
		c.DeletePort(1001, Exclusive(victimSlot)),
		c.DeleteSocket(victimSlot, 0),
		c.Close())
}

// victim kills one at its n-th point.
func (w *wire) victim(n int, link uint32) (o killpoint.Outcome, err error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", victimEnv, w.right.Index, link))
	cmd.Stderr = os.Stderr
	w.right.NS.Do(w.t, func() (err error) {
		o, err = killpoint.Run(cmd, n, nil)
		return err
	})
	return o, err
}

// Whoever is killed at whichever system call, alone, leaves the interface free.
func TestKilledAtEverySystemCallAlone(t *testing.T) {
	w := newWire(t)
	killpoint.Each(t, 9, func(n int) (killpoint.Outcome, error) { return w.victim(n, 0) }, func(killpoint.Outcome) {
		w.wantOff()
	})
}

// Beside others it leaves no more than what one call takes away, and nothing of the others' is gone.
func TestKilledAtEverySystemCallBesideOthers(t *testing.T) {
	w, c := attached(t, Options{})
	a, err := w.attachment(c)
	check(t, err)
	socket := newSocket(t)
	check(t, c.PutSocket(otherSlot, 0, socket),
		c.PutPort(sharedPort, Shared(usual)), c.PutIdentifier(sharedPort, identifier(usual.Length, 2), otherSlot))
	killpoint.Each(t, 9, func(n int) (killpoint.Outcome, error) { return w.victim(n, a.Link) }, func(killpoint.Outcome) {
		check(t, c.ClearSlot(victimSlot))
		ports, err := c.Ports()
		check(t, err)
		identifiers, err := c.Identifiers()
		check(t, err)
		if len(ports) != 1 || len(identifiers) != 1 || identifiers[0].Slot != otherSlot {
			t.Errorf("%v, %v", ports, identifiers)
		}
		check(t, c.PutSocket(victimSlot, 0, socket), c.PutPort(1001, Exclusive(victimSlot)),
			c.PutIdentifier(sharedPort, identifier(usual.Length, 1), victimSlot), c.ClearSlot(victimSlot))
	})
}
