// SPDX-License-Identifier: MIT

package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkTimeout bounds the wait for a link.
const linkTimeout = 10 * time.Second

// Configure sets lo and an interface up, and gives the latter its addresses.
func (ns *Namespace) Configure(name string, addrs []netip.Prefix) error {
	return ns.Netlink(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		for _, prefix := range addrs {
			if err := h.AddrAdd(link, Address(prefix)); err != nil {
				return fmt.Errorf("add %s to %s: %w", prefix, name, err)
			}
		}
		return errors.Join(h.LinkSetUp(lo), h.LinkSetUp(link))
	})
}

// Address is usable at once: no duplicate address detection.
func Address(prefix netip.Prefix) *netlink.Addr {
	addr := &netlink.Addr{IPNet: &net.IPNet{
		IP:   prefix.Addr().AsSlice(),
		Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}}
	if prefix.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	return addr
}

// WaitUp polls until the interface has a carrier, which takes the kernel a moment.
func (ns *Namespace) WaitUp(name string) error {
	deadline := time.Now().Add(linkTimeout)
	return ns.Netlink(func(h *netlink.Handle) error {
		for {
			link, err := h.LinkByName(name)
			if err != nil || link.Attrs().OperState == netlink.OperUp {
				return err
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s is %v after %v", name, link.Attrs().OperState, linkTimeout)
			}
			time.Sleep(time.Millisecond)
		}
	})
}
