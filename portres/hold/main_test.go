// SPDX-License-Identifier: MIT

package hold

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Users of the tests. A thread that becomes root keeps all capabilities, one
// that becomes a user loses them.
const (
	root  = 0
	user  = 1000
	other = 1001
)

const (
	port     = 4433
	loopback = 1 // interface index
)

// patience bounds the wait for what must happen.
const patience = 10 * time.Second

func TestMain(m *testing.M) {
	if name := os.Getenv(actorVariable); name != "" {
		os.Exit(act(name))
	}
	os.Exit(m.Run())
}

// room is a network namespace, where threads act for users.
type room struct {
	t  *testing.T
	ns *netnstest.NS
}

// newRoom also checks that the test leaks no descriptor.
func newRoom(t *testing.T) room {
	t.Helper()
	netnstest.CheckFDs(t)
	return room{t, netnstest.New(t)}
}

// as runs f on a thread of a user. The thread ends with it, and so does its
// descent: the Go runtime starts no thread from a locked one.
func (r room) as(uid int, f func() error) {
	r.t.Helper()
	r.ns.Do(r.t, func() error { return errors.Join(become(uid), f()) })
}

// become makes the thread one of a user: what it opens belongs to that one.
func become(uid int) error {
	for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		if _, _, errno := unix.RawSyscall(call, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			return fmt.Errorf("become uid %d: %w", uid, errno)
		}
	}
	return nil
}

// open opens a door as a user.
func (r room) open(uid int, o Options) (d *Door, members []int, err error) {
	r.t.Helper()
	r.as(uid, func() error {
		d, members, err = Open(o)
		return nil
	})
	return d, members, err
}

// mustOpen opens a door that must have this tier. It and its members close with
// the test; a test that closes a member itself writes -1 in its place.
func (r room) mustOpen(uid int, o Options, tier rules.Tier) (*Door, []int) {
	r.t.Helper()
	d, members, err := r.open(uid, o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		descriptors.CloseAll(members)
		d.Release()
	})
	if got := d.Tier(); got != tier {
		r.t.Errorf("the tier is %s, want %s", got, tier)
	}
	return d, members
}

// admit lets members in as a user.
func (r room) admit(uid int, d *Door, n int) (fds []int, err error) {
	r.t.Helper()
	r.as(uid, func() error {
		fds, err = d.Admit(n)
		return nil
	})
	return fds, err
}

// mustAdmit lets members in until the test ends.
func (r room) mustAdmit(uid int, d *Door, n int) []int {
	r.t.Helper()
	fds, err := r.admit(uid, d, n)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { descriptors.CloseAll(fds) })
	return fds
}

// group is what most tests open: dual-mode sockets for this and other processes.
func group(proto rules.Proto, members int) Options {
	return Options{
		Proto: proto, Addr: at("[::]:4433"), Members: members, Shared: true,
		NewSocket: sockets(proto, unix.AF_INET6),
	}
}

func sockets(proto rules.Proto, family int) func() (int, error) {
	return func() (int, error) {
		fd, err := plainSocket(proto, family)
		if err == nil {
			err = unix.SetNonblock(fd, true)
		}
		return fd, err
	}
}

// most caps the tier.
func most(o Options, tier rules.Tier) Options {
	o.Most = &tier
	return o
}

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// tiers are how each tier is had: by whom, with which cap.
var tiers = []struct {
	rules.Tier
	uid  int
	most rules.Tier
}{
	{rules.Owned, root, rules.Owned},
	{rules.Guarded, root, rules.Guarded},
	{rules.Guarded, user, rules.Owned},
	{rules.Unguarded, root, rules.Unguarded},
	{rules.Unguarded, user, rules.Unguarded},
}

// eachTier runs a test of a UDP group in every tier, in a room of its own.
func eachTier(t *testing.T, f func(r room, uid int, tier rules.Tier, o Options)) {
	for _, tier := range tiers {
		t.Run(fmt.Sprintf("%s by uid %d", tier.Tier, tier.uid), func(t *testing.T) {
			f(newRoom(t), tier.uid, tier.Tier, most(group(rules.UDP, 2), tier.most))
		})
	}
}

// wantInUse fails unless err is an InUse, and returns it.
func wantInUse(t *testing.T, err error) *InUse {
	t.Helper()
	refusal, ok := errors.AsType[*InUse](err)
	if !ok || !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("error %v, want an InUse", err)
	}
	return refusal
}

// until waits for what another thread does.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen in time")
		}
	}
}
