// SPDX-License-Identifier: MIT

package demo

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/msquicxdp/msquicxdp/internal/netns"
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
	server, client *netns.Namespace
}

// serverLink is the servers' end of the veth pair.
const serverLink = "s0"

func newNetwork() (_ *network, err error) {
	n := &network{}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	if n.server, err = netns.New(); err != nil {
		return nil, err
	}
	if n.client, err = netns.New(); err != nil {
		return nil, err
	}
	if err := n.server.Netlink(n.addVeth); err != nil {
		return nil, err
	}
	var serverAddrs, clientAddrs []netip.Prefix
	for _, f := range families {
		serverAddrs = append(serverAddrs, netip.PrefixFrom(f.server, f.bits))
		for _, addr := range f.client {
			clientAddrs = append(clientAddrs, netip.PrefixFrom(addr, f.bits))
		}
	}
	if err := n.server.Configure(serverLink, serverAddrs); err != nil {
		return nil, err
	}
	if err := n.client.Configure("c0", clientAddrs); err != nil {
		return nil, err
	}
	return n, errors.Join(n.server.WaitUp(serverLink), n.client.WaitUp("c0"))
}

func (n *network) close() {
	for _, ns := range []*netns.Namespace{n.server, n.client} {
		if ns != nil {
			ns.Close()
		}
	}
}

// addVeth runs in the server's namespace.
func (n *network) addVeth(h *netlink.Handle) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = serverLink
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: "c0", PeerNamespace: netlink.NsFd(n.client.FD())}
	if err := h.LinkAdd(pair); err != nil {
		return fmt.Errorf("add the veth pair %s, c0: %w", serverLink, err)
	}
	return nil
}
