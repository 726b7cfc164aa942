// SPDX-License-Identifier: MIT

package netnstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// threadNS is the network namespace of the thread that opens it. /proc/self
// would give the one of the process's first thread.
const threadNS = "/proc/thread-self/ns/net"

// NS is a network namespace. It lives until the test that made it ends, or
// until the last process that was started in it does.
type NS struct {
	fd    int
	inode uint64
}

// New makes a network namespace whose loopback interface is up.
func New(t testing.TB) *NS {
	t.Helper()
	Require(t)
	ns := &NS{fd: -1}
	var err error
	onThread(func() { err = ns.create() })
	if errors.Is(err, unix.EPERM) {
		skip(t, fmt.Sprintf("may not make a network namespace, root without CAP_SYS_ADMIN: %v", err))
	}
	if err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
	t.Cleanup(func() { unix.Close(ns.fd) })
	return ns
}

// create unshares the calling thread, which must end afterwards.
func (ns *NS) create() error {
	before, err := inodeOf(threadNS)
	if err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare(CLONE_NEWNET): %w", err)
	}
	if ns.inode, err = inodeOf(threadNS); err != nil {
		return err
	}
	if ns.inode == before {
		return errors.New("unshare(CLONE_NEWNET) left the thread where it was; refusing to go on in the host's namespace")
	}
	if err := setUp(); err != nil {
		return err
	}
	ns.fd, err = unix.Open(threadNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return err
}

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

// enter moves the calling thread into ns.
func (ns *NS) enter() error {
	if err := unix.Setns(ns.fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns(%d, CLONE_NEWNET): %w", ns.fd, err)
	}
	inode, err := inodeOf(threadNS)
	if err == nil && inode != ns.inode {
		err = fmt.Errorf("in network namespace %d after setns, want %d: used after its test ended?", inode, ns.inode)
	}
	return err
}

// Do runs f inside ns, on a thread of its own, and fails the test if f returns
// an error. f may use t, FailNow included. Goroutines that f starts run
// elsewhere: they are outside ns.
func (ns *NS) Do(t testing.TB, f func() error) {
	t.Helper()
	var err error
	returned := onThread(func() {
		if err = ns.enter(); err == nil {
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

func inodeOf(name string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return st.Ino, nil
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
