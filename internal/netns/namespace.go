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

// threadNS is the network namespace of the thread that opens it.
const threadNS = "/proc/thread-self/ns/net"

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
		return errors.New("unshare(CLONE_NEWNET) left the thread where it was; nothing is touched there")
	}
	ns.fd, err = unix.Open(threadNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return err
}

// FD is the descriptor that holds the namespace. It stays its own.
func (ns *Namespace) FD() int { return ns.fd }

// Close lets the namespace go with its last process and socket.
func (ns *Namespace) Close() {
	unix.Close(ns.fd)
}

// Do runs f inside the namespace, on a thread of its own. Sockets that f makes
// and processes that it starts are in the namespace; goroutines are not.
func (ns *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(ns.fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("setns(CLONE_NEWNET): %w", err)
		}
		inode, err := inodeOf(threadNS)
		if err != nil {
			return err
		}
		if inode != ns.inode {
			return fmt.Errorf("in network namespace %d after setns, want %d", inode, ns.inode)
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

func inodeOf(name string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	return st.Ino, nil
}
