// SPDX-License-Identifier: MIT

package netnstest

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// readyTimeout bounds the wait for a new interface. The kernel reports a
// carrier with a delay of up to a second.
const readyTimeout = 10 * time.Second

// End is one end of a veth pair: in which namespace, under which name, with
// which addresses. [Veth] fills in Index.
type End struct {
	NS    *NS
	Name  string
	Addrs []netip.Prefix
	Index int

	Queues int // to receive and to send; 0 is one, without the possibility of more
}

// Prefixes parses addresses with a prefix length, and panics on a bad one.
func Prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Veth joins two namespaces, or one with itself, by a pair of interfaces. It
// returns when both are operational and have their addresses, a link-local one
// included, in a state to be used.
func Veth(t testing.TB, a, b *End) {
	t.Helper()
	a.NS.Do(t, func() error { return createPair(a, b) })
	for _, end := range []*End{a, b} {
		end.NS.Do(t, func() error { return withHandle(end.configure) })
	}
	for _, end := range []*End{a, b} {
		end.NS.Do(t, func() error { return withHandle(end.waitReady) })
	}
}

// createPair runs in a's namespace.
func createPair(a, b *End) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = a.Name
	attrs.NumRxQueues, attrs.NumTxQueues = a.Queues, a.Queues
	pair := &netlink.Veth{
		LinkAttrs: attrs, PeerName: b.Name, PeerNamespace: netlink.NsFd(b.NS.held.FD()),
		PeerNumRxQueues: uint32(b.Queues), PeerNumTxQueues: uint32(b.Queues),
	}
	return withHandle(func(h *netlink.Handle) error {
		if err := h.LinkAdd(pair); err != nil {
			return fmt.Errorf("add veth pair %s, %s: %w", a.Name, b.Name, err)
		}
		return nil
	})
}

// configure sets the interface up and gives it its addresses.
func (e *End) configure(h *netlink.Handle) error {
	link, err := h.LinkByName(e.Name)
	if err != nil {
		return err
	}
	e.Index = link.Attrs().Index
	for _, prefix := range e.Addrs {
		if err := h.AddrAdd(link, address(prefix)); err != nil {
			return fmt.Errorf("add address %s to %s: %w", prefix, e.Name, err)
		}
	}
	return h.LinkSetUp(link)
}

func address(prefix netip.Prefix) *netlink.Addr {
	ip := prefix.Addr()
	addr := &netlink.Addr{IPNet: &net.IPNet{
		IP:   ip.AsSlice(),
		Mask: net.CIDRMask(prefix.Bits(), ip.BitLen()),
	}}
	if ip.Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	return addr
}

// waitReady polls: the kernel sends an event for each step, but a test needs
// the state that all of them lead to.
func (e *End) waitReady(h *netlink.Handle) error {
	deadline := time.Now().Add(readyTimeout)
	for {
		missing, err := e.missing(h)
		if err != nil || missing == "" {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s not ready after %v: %s", e.Name, readyTimeout, missing)
		}
		time.Sleep(time.Millisecond)
	}
}

// missing says what the interface still lacks, or "".
func (e *End) missing(h *netlink.Handle) (string, error) {
	link, err := h.LinkByIndex(e.Index)
	if err != nil {
		return "", err
	}
	if state := link.Attrs().OperState; state != netlink.OperUp {
		return "operational state is " + state.String(), nil
	}
	addrs, err := h.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return "", err
	}
	linkLocal := false
	for _, addr := range addrs {
		if addr.Flags&unix.IFA_F_TENTATIVE != 0 {
			return "tentative address " + addr.IP.String(), nil
		}
		linkLocal = linkLocal || addr.IP.IsLinkLocalUnicast()
	}
	if !linkLocal {
		return "no link-local address", nil
	}
	return "", nil
}
