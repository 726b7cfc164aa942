// SPDX-License-Identifier: MIT

// Package netns makes network namespaces without names for programs that test in them, and
// configures their interfaces.
package netns

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Thread names the network namespace of the thread that opens it. /proc/self
// would give the one of the process's first thread.
const Thread = "/proc/thread-self/ns/net"

// Namespace is a network namespace without a name, held by a descriptor.
type Namespace struct {
	fd    int
	inode uint64
}

// New makes a network namespace, in which no interface is up.
func New() (*Namespace, error) {
	ns := &Namespace{fd: -1}
	if err := onThread(ns.create); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return ns, nil
}

// create unshares the calling thread, which must end afterwards.
func (ns *Namespace) create() error {
	before, err := InodeOf(Thread)
	if err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare(CLONE_NEWNET): %w", err)
	}
	if ns.inode, err = InodeOf(Thread); err != nil {
		return err
	}
	if ns.inode == before {
		return errors.New("unshare(CLONE_NEWNET) left the thread where it was; nothing is touched there")
	}
	ns.fd, err = unix.Open(Thread, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return err
}

// Inode is its number.
func (ns *Namespace) Inode() uint64 { return ns.inode }

// FD is the descriptor that holds the namespace. It stays its own.
func (ns *Namespace) FD() int { return ns.fd }

// Close lets the namespace go with its last process and socket.
func (ns *Namespace) Close() {
	unix.Close(ns.fd)
}

// Enter moves the calling thread into the namespace. It must end there.
func (ns *Namespace) Enter() error {
	if err := unix.Setns(ns.fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns(%d, CLONE_NEWNET): %w", ns.fd, err)
	}
	inode, err := InodeOf(Thread)
	if err == nil && inode != ns.inode {
		err = fmt.Errorf("in network namespace %d after setns, want %d: used after it was closed?", inode, ns.inode)
	}
	return err
}

// Do runs f inside the namespace, on a thread of its own. Sockets that f makes
// and processes that it starts are in the namespace; goroutines are not.
func (ns *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := ns.Enter(); err != nil {
			return err
		}
		return f()
	})
}

// Netlink runs f with a netlink handle on the namespace.
func (ns *Namespace) Netlink(f func(*netlink.Handle) error) error {
	return ns.Do(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		return f(h)
	})
}

// InodeOf returns the number of the namespace of a name such as [Thread].
func InodeOf(name string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return st.Ino, nil
}
