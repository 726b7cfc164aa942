// SPDX-License-Identifier: MIT

package portres

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

func TestSetTier(t *testing.T) {
	h := newHost(t)
	c := h.claim(member(1))
	for _, tier := range []rules.Tier{rules.Owned, rules.Unguarded, rules.Guarded} {
		h.must(c.SetTier(tier))
		if held, err := List(h.dir); err != nil || len(held) != 1 || held[0].Party.Tier != tier {
			t.Errorf("list %+v, %v; want tier %v", held, err, tier)
		}
	}
	h.must(c.Release())
	if err := c.SetTier(rules.Owned); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the release: %v", err)
	}
}

func TestClaimIsForSeveralGoroutines(t *testing.T) {
	h := newHost(t)
	c := h.claim(member(1))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := c.SetTier(rules.Tier(i % 3)); err != nil && !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
			if err := c.Release(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.wantList()
}

// A child that is forked without exec keeps a claim, unless that is released.
func TestForkedChild(t *testing.T) {
	h := newHost(t)
	for _, spec := range []Spec{member(1), exclusively(rules.Listener)} {
		c, err := Acquire(h.dir, spec)
		h.must(err)
		child, err := fork(-1)
		h.must(err)
		held := h.list()
		h.must(c.file.Close()) // as the parent's end does
		h.wantList(held...)
		if c, err := Acquire(h.dir, spec); err == nil {
			c.Release()
			t.Error("granted while the child lives")
		}
		h.must(kill(child))
		h.wantList()

		c, err = Acquire(h.dir, spec)
		h.must(err)
		child, err = fork(-1)
		h.must(err)
		h.must(c.Release())
		h.wantList()
		h.must(h.claim(spec).Release())
		h.must(kill(child))
	}
}

// The same, with a parent that is killed.
func TestForkedChildOfAKilledParent(t *testing.T) {
	h := newHost(t)
	parent := h.start("fork")
	child := h.number(parent)
	pidfd, err := unix.PidfdOpen(child, 0)
	h.must(err)
	defer unix.Close(pidfd)
	h.wantList("udp 4433 0001")

	pid := parent.Process.Pid
	defer parent.Wait() // closes the pipes, at whose end the child ends, too
	h.must(parent.Process.Kill())
	_, err = parent.Process.Wait()
	h.must(err)
	h.wantList("udp 4433 0001")
	h.wantRefused(member(1), rules.IdentifierTaken, strconv.Itoa(pid))

	h.must(unix.Kill(child, unix.SIGKILL))
	for n := 0; n == 0; {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
	}
	h.wantList()
	h.claim(member(1))
}
