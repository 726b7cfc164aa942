// SPDX-License-Identifier: MIT

package netnstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netns"
)

// NS is a network namespace. It lives until the test that made it ends, or
// until the last process that was started in it does.
type NS struct {
	held  *netns.Namespace
	letGo func()
}

// New makes a network namespace whose loopback interface is up.
func New(t testing.TB) *NS {
	t.Helper()
	Require(t)
	held, err := netns.New()
	if errors.Is(err, unix.EPERM) {
		skip(t, fmt.Sprintf("may not make a network namespace, root without CAP_SYS_ADMIN: %v", err))
	}
	if err != nil {
		t.Fatal(err)
	}
	ns := &NS{held, sync.OnceFunc(held.Close)}
	t.Cleanup(ns.letGo)
	if err := held.Do(setUp); err != nil {
		t.Fatalf("prepare a new network namespace: %v", err)
	}
	return ns
}

// LetGo ends the test's hold on ns, which can not be used any more: the kernel deletes it, and its
// interfaces, when its last process and socket have gone.
func (ns *NS) LetGo() { ns.letGo() }

// setUp prepares the namespace of the calling thread.
func setUp() error {
	// "default" is what later interfaces start with; "all" overrides them.
	for _, scope := range []string{"all", "default"} {
		err := writeSysctl("net/ipv6/conf/"+scope+"/accept_dad", "0")
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6
			return err
		}
	}
	return withHandle(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		return h.LinkSetUp(lo)
	})
}

// Do runs f inside ns, on a thread of its own, and fails the test if f returns
// an error. f may use t, FailNow included. Goroutines that f starts run
// elsewhere: they are outside ns.
func (ns *NS) Do(t testing.TB, f func() error) {
	t.Helper()
	var err error
	returned := onThread(func() {
		if err = ns.held.Enter(); err == nil {
			err = f()
		}
	})
	switch {
	case err != nil:
		t.Fatal(err)
	case !returned && t.Skipped():
		t.SkipNow()
	case !returned:
		t.FailNow()
	}
}

// Run runs a command inside ns and returns what it printed. It fails the test
// if the command does.
func (ns *NS) Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	var out []byte
	ns.Do(t, func() error {
		var err error
		// The child is cloned from this thread, hence in its namespace.
		cmd := exec.Command(name, args...)
		if out, err = cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
		}
		return nil
	})
	return string(out)
}

// Sysctl sets a kernel setting of ns; key is its path below /proc/sys, such as
// "net/ipv6/conf/eth0/accept_dad". Only keys that begin with net/ are taken:
// the others belong to the whole machine.
func (ns *NS) Sysctl(t testing.TB, key, value string) {
	t.Helper()
	if !strings.HasPrefix(path.Clean(key), "net/") {
		t.Fatalf("sysctl %q does not belong to a network namespace", key)
	}
	ns.Do(t, func() error { return writeSysctl(key, value) })
}

func writeSysctl(key, value string) error {
	return os.WriteFile("/proc/sys/"+key, []byte(value), 0)
}

// withHandle gives f an rtnetlink handle on the namespace of the calling thread.
func withHandle(f func(*netlink.Handle) error) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	return f(h)
}
