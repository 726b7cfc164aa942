// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// observe looks at the right end.
func (w *wire) observe() (v View, err error) {
	w.Helper()
	w.in(func() error {
		dir, errDir := rundir.Open(w.base)
		if errDir != nil {
			return errDir
		}
		defer dir.Close()
		v, err = Observe(dir)
		return nil
	})
	return v, err
}

func (w *wire) mustObserve() View {
	w.Helper()
	v, err := w.observe()
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// of returns what is seen of a member.
func (v View) of(t testing.TB, slot uint32) Observed {
	t.Helper()
	i := slices.IndexFunc(v.Members, func(o Observed) bool { return o.Slot == slot })
	if i < 0 {
		t.Fatalf("slot %d is not in %+v", slot, v.Members)
	}
	return v.Members[i]
}

func TestObserveNobody(t *testing.T) {
	w := newWire(t)
	if v := w.mustObserve(); len(v.Members) != 0 || len(v.Pools) != 0 {
		t.Errorf("%+v", v)
	}
	w.open() // a member of no pool
	if v := w.mustObserve(); len(v.Members) != 1 || v.Members[0].Err != nil || len(v.Pools) != 0 {
		t.Errorf("%+v", v)
	}
}

// Who is stopped tells nothing, and is told of; who is killed is gone.
func TestObserve(t *testing.T) {
	w := newWire(t)
	one := w.spawn(job{Options: small})
	two := w.spawn(job{Options: small})
	w.send(packet(one.slot, 1, 100), packet(two.slot, 1, 100))

	check := func(silent bool) {
		t.Helper()
		v := w.mustObserve()
		if len(v.Members) != 2 || len(v.Pools) != 1 {
			t.Fatalf("%+v", v)
		}
		for _, c := range []*child{one, two} {
			o := v.of(t, c.slot)
			if want := silent && c == two; errors.Is(o.Err, ErrSilent) != want || !want && o.Err != nil {
				t.Errorf("slot %d: %v", c.slot, o.Err)
			}
			if o.PID != c.cmd.Process.Pid || o.UID != uint32(os.Geteuid()) {
				t.Errorf("%+v is process %d", o, c.cmd.Process.Pid)
			}
		}
		p := v.Pools[0]
		if p.Ifindex != w.right.Index || p.Queue != 0 || p.Seats != 2 || p.Account == nil {
			t.Fatalf("%+v", p)
		}
		c := p.Account.Census
		if c.Fill+c.Ring+c.Missing != c.Receive || c.Missing > 1 || c.Twice != 0 || len(c.Seats) != 2 || p.Account.Most != small.Members {
			t.Errorf("%+v", p.Account)
		}
		for i, s := range p.Account.Sockets {
			if !s.Known || s.ZeroCopy || !c.Seats[i].Known {
				t.Errorf("seat %+v: %+v", c.Seats[i], s)
			}
		}
	}
	check(false)
	two.signal(syscall.SIGSTOP)
	var stopped syscall.WaitStatus
	if _, err := syscall.Wait4(two.cmd.Process.Pid, &stopped, syscall.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	check(true)
	// What comes for it while it is stopped fills its ring, and that is seen.
	for i := range uint64(2 * small.Ring) {
		w.send(packet(two.slot, 2+i, 100))
	}
	a := w.mustObserve().Pools[0].Account
	for i, s := range a.Census.Seats {
		if full := a.Sockets[i].Kernel.RXRingFull; (full > 0) != (uint32(s.Slot) == two.slot) {
			t.Errorf("slot %d: %d packets found its ring full", s.Slot, full)
		}
	}
	two.signal(syscall.SIGCONT)
	two.kill()
	for deadline := time.Now().Add(limit); one.do("stat").Recoveries == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nobody cleans up")
		}
	}
	v := w.mustObserve()
	if len(v.Members) != 1 || v.Pools[0].Seats != 1 || len(v.Pools[0].Account.Census.Seats) != 1 {
		t.Errorf("%+v", v)
	}
	one.end()
	if v := w.mustObserve(); len(v.Members) != 0 || len(v.Pools) != 0 {
		t.Errorf("when all have gone: %+v", v)
	}
}

// Ask waits for nobody but the one that is asked.
func TestAsk(t *testing.T) {
	w := newWire(t)
	one := w.spawn(job{Options: small})
	two := w.spawn(job{Options: small})
	ask := func(slot uint32, queue int) (a *Account, err error) {
		w.in(func() error {
			dir, e := rundir.Open(w.base)
			if e != nil {
				return e
			}
			defer dir.Close()
			a, err = Ask(dir, slot, w.right.Index, queue)
			return nil
		})
		return a, err
	}
	two.signal(syscall.SIGSTOP)
	if a, err := ask(one.slot, 0); err != nil || a == nil || a.By != one.slot || !a.Seats(one.slot) || !a.Seats(two.slot) {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := ask(one.slot, 1); a != nil || err != nil {
		t.Errorf("of a pool that is not there: %+v, %v", a, err)
	}
	if _, err := ask(two.slot, 0); !errors.Is(err, ErrSilent) {
		t.Errorf("who is stopped: %v", err)
	}
	two.signal(syscall.SIGCONT)
	two.kill()
	if _, err := ask(two.slot, 0); !errors.Is(err, errUnreachable) {
		t.Errorf("who is dead: %v", err)
	}
	one.end()
}

// No member takes notice of who looks, and nothing is left.
func TestObserveIsNotNoticed(t *testing.T) {
	w := newWire(t)
	m := w.open()
	w.join(m, small)
	names := func() []string {
		t.Helper()
		list, err := m.dir.Names()
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	before, events := names(), len(m.Events())
	for range 20 {
		w.mustObserve()
	}
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
	if len(m.Events()) != events || len(m.others()) != 0 {
		t.Errorf("events %v, others %v", m.Events(), m.others())
	}
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		n := len(m.peers)
		m.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are still open", n)
		}
	}
}

// Whatever somebody answers, the observer says what is wrong.
func TestObserverIsToldLies(t *testing.T) {
	impatient(t)
	w := newWire(t)
	for name, test := range map[string]struct {
		answer func(*net.UnixConn, *message)
		says   string
	}{
		"nothing":  {func(*net.UnixConn, *message) {}, "does not answer"},
		"hangs up": {func(c *net.UnixConn, _ *message) { c.Close() }, ""},
		"garbage":  {func(c *net.UnixConn, _ *message) { _, _ = c.Write([]byte("garbage")) }, "no message between members"},
		"too much": {func(c *net.UnixConn, _ *message) { _, _ = c.Write((&message{Kind: told}).encode()) }, "bytes, where"},
		"newer":    {func(c *net.UnixConn, _ *message) { _, _ = c.Write(ofVersion(version + 1)) }, "version "},
		"another": {func(c *net.UnixConn, in *message) {
			_, _ = c.Write((&account{ID: in.ID, Slot: 6, Topic: in.Topic}).encode())
		}, "slot 6 tells"},
		"seats": {func(c *net.UnixConn, in *message) {
			_, _ = c.Write((&account{ID: in.ID, Slot: 5, Topic: in.Topic, Count: MaxMembers + 1}).encode())
		}, "count 65"},
		"slots": {func(c *net.UnixConn, in *message) {
			a := &account{ID: in.ID, Slot: 5, Topic: in.Topic, Count: 1}
			a.Seats[0].Slot = MaxSlots
			_, _ = c.Write(a.encode())
		}, "slot 1024"},
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			netnstest.CheckFDs(t)
			l := w.lie(test.answer)
			defer l.end()
			v := w.mustObserve()
			if o := v.of(t, 5); o.Err == nil || !strings.Contains(o.Err.Error(), test.says) {
				t.Errorf("%v; want %q", o.Err, test.says)
			}
			if len(v.Pools) != 1 || v.Pools[0].Seats != 1 || v.Pools[0].Account != nil {
				t.Errorf("%+v", v.Pools)
			}
		})
	}
}

func TestObserveAnotherVersion(t *testing.T) {
	w := newWire(t)
	l := w.lie(func(*net.UnixConn, *message) {})
	defer l.end()
	l.lock("xdp", versionAt+version+3)
	v, err := w.observe()
	if other := (*VersionError)(nil); !errors.As(err, &other) || other.Theirs != version+3 || len(v.Members) != 1 {
		t.Errorf("%v, %+v", err, v)
	}
}
