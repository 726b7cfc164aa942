// SPDX-License-Identifier: MIT

package demo

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// threadNS is the network namespace of the thread that opens it.
const threadNS = "/proc/thread-self/ns/net"

// namespace is a network namespace without a name, held by a descriptor.
type namespace struct {
	fd    int
	inode uint64
}

func newNamespace() (*namespace, error) {
	ns := &namespace{fd: -1}
	if err := onThread(ns.create); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return ns, nil
}

// create unshares the calling thread, which must end afterwards.
func (ns *namespace) create() error {
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

func (ns *namespace) close() {
	unix.Close(ns.fd)
}

// do runs f inside the namespace, on a thread of its own. Sockets that f makes
// and processes that it starts are in the namespace; goroutines are not.
func (ns *namespace) do(f func() error) error {
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

// netlink runs f with a netlink handle on the namespace.
func (ns *namespace) netlink(f func(*netlink.Handle) error) error {
	return ns.do(func() error {
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
