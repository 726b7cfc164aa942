// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An xdpLink is a veth pair for AF_XDP between two namespaces of its own: XDP
// changes what the other end of a pair can do, so that nothing else may use it.
type xdpLink struct {
	left, right *namespace
	device      string // of both ends, like no other device's of this machine
	ifindex     [2]int
	mac         [2]net.HardwareAddr

	// unthreaded is why what arrives is not handled on the subject's processor.
	unthreaded error
}

func newXDPLink() (*xdpLink, error) {
	l := &xdpLink{device: fmt.Sprintf("bx%d", os.Getpid())}
	var err error
	if l.left, err = newNamespace(); err != nil {
		return nil, err
	}
	if l.right, err = newNamespace(); err != nil {
		return nil, err
	}
	if err = joinByVeth(l.left, l.right, l.device, addrSubject, addrPeer); err != nil {
		return nil, err
	}
	for i, ns := range l.ends() {
		if err = ns.do(func() error { return l.look(i) }); err != nil {
			return nil, err
		}
	}
	for i, ns := range l.ends() {
		if err = ns.do(func() error { return l.knowPeer(i) }); err != nil {
			return nil, err
		}
	}
	return l, l.left.do(mountSys)
}

func (l *xdpLink) ends() [2]*namespace { return [2]*namespace{l.left, l.right} }

func (l *xdpLink) look(i int) error {
	link, err := netlink.LinkByName(l.device)
	if err != nil {
		return err
	}
	l.ifindex[i], l.mac[i] = link.Attrs().Index, link.Attrs().HardwareAddr
	return nil
}

// knowPeer makes the other end a neighbour for ever: nobody may have to ask.
func (l *xdpLink) knowPeer(i int) error {
	return netlink.NeighSet(&netlink.Neigh{
		LinkIndex: l.ifindex[i], State: netlink.NUD_PERMANENT,
		IP: net.ParseIP([2]string{addrPeer, addrSubject}[i]), HardwareAddr: l.mac[1-i],
	})
}

// mountSys gives the calling thread, and what it starts, a /sys of its network namespace,
// and there the kernel's trace points where it has them.
func mountSys() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare(CLONE_NEWNS): %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount / private: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	_ = unix.Mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, "")
	return nil
}

// thread makes what the subject's end receives be handled by a thread of the kernel on the
// subject's processor, as a network card's interrupt would, and not by whoever
// sends. Its program has to be attached. Where that cannot be, the sender pays.
func (l *xdpLink) thread(cpu int) {
	if cpu != 0 && l.unthreaded == nil {
		l.unthreaded = l.left.do(func() error { return l.tryThread(cpu) })
	}
}

func (l *xdpLink) tryThread(cpu int) error {
	if err := os.WriteFile("/sys/class/net/"+l.device+"/threaded", []byte("1"), 0); err != nil {
		return err
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(cpu - 1)
	found := errors.New("the kernel's thread is not to be seen in /proc")
	for _, name := range names {
		comm, _ := os.ReadFile(name) // a process that has ended meanwhile is none
		if !bytes.HasPrefix(comm, []byte("napi/"+l.device+"-")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return err
		}
		if found = unix.SchedSetaffinity(pid, &set); found != nil {
			return found
		}
	}
	return found
}
