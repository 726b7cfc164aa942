// SPDX-License-Identifier: MIT

package demo

import (
	"net/netip"

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
type network struct{ netns.Pair }

// The ends of the veth pair.
const (
	serverLink = "s0"
	clientLink = "c0"
)

func newNetwork() (n *network, err error) {
	n = &network{}
	if n.Pair, err = netns.NewPair(); err != nil {
		return nil, err
	}
	if err := n.connect(); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *network) connect() error {
	if err := n.Connect(serverLink, clientLink, 1); err != nil {
		return err
	}
	var serverAddrs, clientAddrs []netip.Prefix
	for _, f := range families {
		serverAddrs = append(serverAddrs, netip.PrefixFrom(f.server, f.bits))
		for _, addr := range f.client {
			clientAddrs = append(clientAddrs, netip.PrefixFrom(addr, f.bits))
		}
	}
	return n.Configure(serverLink, clientLink, serverAddrs, clientAddrs)
}
