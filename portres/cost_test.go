// SPDX-License-Identifier: MIT

package portres

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// crowd makes a thousand claims on the port.
func (h *host) crowd() {
	h.Helper()
	for id := range 1000 {
		h.claim(member(id))
	}
}

// A claim costs less than a millisecond beside a thousand others, granted or
// refused: of processor time, so that a busy machine does not matter. The
// benchmark below measures the clock.
func TestCostBesideAThousandClaims(t *testing.T) {
	h := newHost(t)
	h.crowd()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for name, f := range h.costs() {
		var times []time.Duration
		for range 201 {
			start := h.cpuTime()
			f()
			times = append(times, h.cpuTime()-start)
		}
		slices.Sort(times)
		median := times[len(times)/2]
		t.Logf("%s: median %v, 90 %% %v", name, median, times[len(times)*9/10])
		if median > time.Millisecond {
			t.Errorf("%s: median %v", name, median)
		}
	}
}

// cpuTime is what the calling thread has used.
func (h *host) cpuTime() time.Duration {
	var ts unix.Timespec
	h.must(unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts))
	return time.Duration(ts.Nano())
}

// costs is what is measured.
func (h *host) costs() map[string]func() {
	refused := func(spec Spec) func() {
		return func() {
			if c, err := Acquire(h.dir, spec); err == nil {
				c.Release()
				h.Error("granted")
			}
		}
	}
	return map[string]func(){
		"join and leave": func() {
			c, err := Acquire(h.dir, member(2000))
			h.must(err)
			h.must(c.Release())
		},
		"refused, identifier taken": refused(member(999)),
		"refused, exclusive":        refused(exclusively(rules.Listener)),
	}
}

func BenchmarkClaim(b *testing.B) {
	h := newHost(b)
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			c, err := Acquire(h.dir, exclusively(rules.Listener))
			h.must(err)
			h.must(c.Release())
		}
	})
	h.crowd()
	for name, f := range h.costs() {
		b.Run("beside 1000, "+name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
	b.Run("list 1000", func(b *testing.B) {
		for b.Loop() {
			if held, err := List(h.dir); err != nil || len(held) != 1000 {
				b.Fatal(len(held), err)
			}
		}
	})
}
