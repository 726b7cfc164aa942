// SPDX-License-Identifier: MIT

package demo

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// family is one of the two IP versions, with the addresses of both ends. A
// client has two, to move from one to the other.
type family struct {
	name   string
	server netip.Addr
	client [2]netip.Addr
	bits   int
}

var families = [2]family{
	{"IPv4", ip("192.0.2.1"), [2]netip.Addr{ip("192.0.2.2"), ip("192.0.2.3")}, 24},
	{"IPv6", ip("2001:db8::1"), [2]netip.Addr{ip("2001:db8::2"), ip("2001:db8::3")}, 64},
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// network is two namespaces with a veth pair between them.
type network struct {
	server, client *namespace
}

// serverLink is the servers' end of the veth pair.
const serverLink = "s0"

// linkTimeout bounds the wait for the veth pair.
const linkTimeout = 10 * time.Second

func newNetwork() (_ *network, err error) {
	n := &network{}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if n.server, err = newNamespace(); err != nil {
		return nil, err
	}
	if n.client, err = newNamespace(); err != nil {
		return nil, err
	}
	if err := n.server.netlink(n.addVeth); err != nil {
		return nil, err
	}
	var serverAddrs, clientAddrs []netip.Prefix
	for _, f := range families {
		serverAddrs = append(serverAddrs, netip.PrefixFrom(f.server, f.bits))
		for _, addr := range f.client {
			clientAddrs = append(clientAddrs, netip.PrefixFrom(addr, f.bits))
		}
	}
	if err := n.server.configure(serverLink, serverAddrs); err != nil {
		return nil, err
	}
	if err := n.client.configure("c0", clientAddrs); err != nil {
		return nil, err
	}
	return n, errors.Join(n.server.waitUp(serverLink), n.client.waitUp("c0"))
}

func (n *network) close() {
	for _, ns := range []*namespace{n.server, n.client} {
		if ns != nil {
			ns.close()
		}
	}
}

// addVeth runs in the server's namespace.
func (n *network) addVeth(h *netlink.Handle) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = serverLink
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: "c0", PeerNamespace: netlink.NsFd(n.client.fd)}
	if err := h.LinkAdd(pair); err != nil {
		return fmt.Errorf("add the veth pair %s, c0: %w", serverLink, err)
	}
	return nil
}

// configure sets lo and an interface up, and gives the latter its addresses.
func (ns *namespace) configure(name string, addrs []netip.Prefix) error {
	return ns.netlink(func(h *netlink.Handle) error {
		lo, err := h.LinkByName("lo")
		if err != nil {
			return err
		}
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		for _, prefix := range addrs {
			if err := h.AddrAdd(link, address(prefix)); err != nil {
				return fmt.Errorf("add %s to %s: %w", prefix, name, err)
			}
		}
		return errors.Join(h.LinkSetUp(lo), h.LinkSetUp(link))
	})
}

// address is usable at once: no duplicate address detection.
func address(prefix netip.Prefix) *netlink.Addr {
	addr := &netlink.Addr{IPNet: &net.IPNet{
		IP:   prefix.Addr().AsSlice(),
		Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}}
	if prefix.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	return addr
}

// waitUp polls until the interface has a carrier, which takes the kernel a moment.
func (ns *namespace) waitUp(name string) error {
	deadline := time.Now().Add(linkTimeout)
	return ns.netlink(func(h *netlink.Handle) error {
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
