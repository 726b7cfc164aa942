// SPDX-License-Identifier: MIT

package portres

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/ptrace"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// A child that makes a claim and releases it is killed at the first system call
// of the two, at the second, and so on: before the kernel does it, and after.
// Nothing may be left of it.
func TestKilledAtEverySystemCall(t *testing.T) {
	t.Run("exclusive", func(t *testing.T) {
		h := newSharedHost(t) // where to make the file takes most calls
		h.killAtEvery("exclusive", exclusively(rules.Listener), func() { h.must(os.Remove(h.path())) })
	})
	t.Run("shared", func(t *testing.T) {
		h := newHost(t)
		h.claim(member(2))
		h.killAtEvery("shared", member(1), func() {})
	})
}

// killAtEvery kills a child for each of its stops.
func (h *host) killAtEvery(name string, spec Spec, between func()) {
	h.Helper()
	before := h.list()
	h.ns.Do(h, func() error { // the tracer is a thread
		for k, done := 1, false; !done; k++ {
			var err error
			if done, err = h.killAt(name, k); err != nil {
				return err
			}
			h.wantList(before...)
			c, err := Acquire(h.dir, spec)
			if err != nil {
				return fmt.Errorf("after a kill at stop %d: %w", k, err)
			}
			h.must(c.Release())
			between()
		}
		return nil
	})
}

// killAt starts a child and kills it at its k-th stop at a system call, or when
// it is done.
func (h *host) killAt(name string, k int) (done bool, err error) {
	s, err := h.trace(name)
	if err != nil {
		return false, err
	}
	defer h.end(s)
	for range k {
		if _, err := s.next(); err != nil || s.phase == released {
			return s.phase == released, err
		}
	}
	return false, nil
}

// A claim is listed from one moment on until another, and with its description.
func TestListAtEverySystemCall(t *testing.T) {
	h := newHost(t)
	h.claim(member(2))
	h.ns.Do(t, func() error {
		s, err := h.trace("shared")
		if err != nil {
			return err
		}
		defer h.end(s)
		var seen []bool // whether the claim was listed, once for each change of it
		calls := map[uint64]int{}
		for s.phase != released {
			call, err := s.next()
			if err != nil {
				return err
			}
			calls[call]++
			listed := h.listed(s.Process.Pid)
			if len(seen) == 0 || seen[len(seen)-1] != listed {
				seen = append(seen, listed)
			}
			if s.phase == acquired && call == stopped && !listed {
				t.Error("not listed although acquired")
			}
		}
		if fmt.Sprint(seen) != "[false true false]" {
			t.Errorf("listed: %v", seen)
		}
		if calls[unix.SYS_FCNTL] < 10 || calls[unix.SYS_PWRITE64] != 1 {
			t.Errorf("stopped at %d calls of fcntl, %d of pwrite64", calls[unix.SYS_FCNTL], calls[unix.SYS_PWRITE64])
		}
		return nil
	})
}

// listed reports whether the list has the claim of a process, and checks what
// it says of it and of the other claim.
func (h *host) listed(pid int) (listed bool) {
	h.Helper()
	held, err := List(h.dir)
	h.must(err)
	for _, c := range held {
		switch {
		case c.Party.ID == idOf(2) && c.Party.SameProcess:
		case c.Party.ID == idOf(1) && c.Party.Process == pid && c.Party.Encoding == nine:
			listed = true
		default:
			h.Errorf("listed %+v", c)
		}
	}
	return listed
}

// phase is how far a traced child is.
type phase int

const (
	started phase = iota
	acquired
	released
)

// stepper traces the thread of a child that acquires and releases.
type stepper struct {
	child
	thread int
	phase  phase
}

// trace starts a child and waits until it is about to acquire. The caller's
// thread is the tracer from now on.
func (h *host) trace(name string) (*stepper, error) {
	s := &stepper{child: h.startHere("step", name)}
	return s, s.attach()
}

// end kills the child. A traced thread that is not the first one must be waited
// for, or the process remains.
func (h *host) end(s *stepper) {
	h.Helper()
	h.must(s.Process.Kill())
	for s.thread != s.Process.Pid {
		var status unix.WaitStatus
		if _, err := wait(s.thread, &status); err != nil || !status.Stopped() {
			break
		}
	}
	h.wantKilled(s.child)
}

func (s *stepper) attach() error {
	var status unix.WaitStatus
	thread, err := wait(-1, &status)
	if err != nil {
		return err
	}
	if !status.Stopped() || status.StopSignal() != unix.SIGSTOP {
		return fmt.Errorf("the child came to %#x instead of a stop", status)
	}
	s.thread = thread
	return ptrace.Request(unix.PTRACE_SETOPTIONS, thread, 0, unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACESYSGOOD)
}

// stopped is what next returns at the end of a phase: no call has this number.
const stopped = ^uint64(0)

// next lets the thread run until it begins or ends a system call, or a phase.
// It returns the number of a call that begins, 0 for one that ends.
func (s *stepper) next() (call uint64, err error) {
	var signal unix.Signal
	for {
		if err := ptrace.Request(unix.PTRACE_SYSCALL, s.thread, 0, uintptr(signal)); err != nil {
			return 0, err
		}
		var status unix.WaitStatus
		if _, err := wait(s.thread, &status); err != nil {
			return 0, err
		}
		if !status.Stopped() {
			return 0, fmt.Errorf("the child ended: %#x", status)
		}
		switch signal = status.StopSignal(); signal {
		case unix.SIGTRAP | 0x80:
			c, err := ptrace.CallOf(s.thread)
			if c == nil {
				return 0, err
			}
			return c.Number, nil
		case unix.SIGSTOP:
			s.phase++
			return stopped, nil
		}
	}
}

// wait waits for a thread of a child that this thread traces, -1 for any.
func wait(thread int, status *unix.WaitStatus) (int, error) {
	for {
		got, err := unix.Wait4(thread, status, unix.WALL, nil)
		if !errors.Is(err, unix.EINTR) {
			return got, err
		}
	}
}
