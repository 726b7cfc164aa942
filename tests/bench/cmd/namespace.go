// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A namespace is a network namespace without a name. One thread lives in it and
// does what is to be done there; what it starts is there too. The namespace
// ends with this program, however that ends.
type namespace struct {
	work chan func()
	fd   int
}

const mtu = 1500

func newNamespace() (*namespace, error) {
	ns := &namespace{work: make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is of no use elsewhere
		made <- ns.enterNew()
		for f := range ns.work {
			f()
		}
	}()
	return ns, <-made
}

func (ns *namespace) enterNew() error {
	err := unix.Unshare(unix.CLONE_NEWNET)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("making a network namespace needs root (CAP_SYS_ADMIN): %w", err)
	}
	if err != nil {
		return fmt.Errorf("unshare(CLONE_NEWNET): %w", err)
	}
	ns.fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return setUp("lo", "")
}

// do runs f on the thread of the namespace.
func (ns *namespace) do(f func() error) error {
	done := make(chan error)
	ns.work <- func() { done <- f() }
	return <-done
}

// joinByVeth puts a veth pair between two namespaces, each end with the same name and an address.
func joinByVeth(a, b *namespace, device, addrA, addrB string) error {
	err := a.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = device, mtu
		pair := &netlink.Veth{LinkAttrs: attrs, PeerName: device, PeerNamespace: netlink.NsFd(b.fd)}
		return netlink.LinkAdd(pair)
	})
	if err != nil {
		return fmt.Errorf("add a veth pair: %w", err)
	}
	if err := a.do(func() error { return setUp(device, addrA) }); err != nil {
		return err
	}
	if err := b.do(func() error { return setUp(device, addrB) }); err != nil {
		return err
	}
	return a.do(func() error { return waitUp(device) })
}

func setUp(name, addr string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if addr != "" {
		net := &net.IPNet{IP: net.ParseIP(addr), Mask: net.CIDRMask(24, 32)}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: net}); err != nil {
			return fmt.Errorf("add address %s to %s: %w", addr, name, err)
		}
	}
	return netlink.LinkSetUp(link)
}

// waitUp polls: the kernel reports a carrier with a delay of up to a second.
func waitUp(name string) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
	}
	return fmt.Errorf("%s: %w waiting for a carrier", name, os.ErrDeadlineExceeded)
}
