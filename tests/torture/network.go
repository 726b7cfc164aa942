// SPDX-License-Identifier: MIT

package torture

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/msquicxdp/msquicxdp/datapath/ethtool"
	"github.com/msquicxdp/msquicxdp/internal/netns"
	"github.com/msquicxdp/msquicxdp/tests/demo"
)

const (
	serverLink = "s0"
	clientLink = "c0"
	maxQueues  = 2 // of either end
)

// The addresses are the demo's, and one more that comes and goes.
var (
	serverAddrs = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	clientAddrs = []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")}
	extraAddr   = netip.MustParseAddr("192.0.2.99")
)

func target(addr netip.Addr) netip.AddrPort { return netip.AddrPortFrom(addr, demo.Port) }

func prefix(addr netip.Addr) netip.Prefix {
	if addr.Is4() {
		return netip.PrefixFrom(addr, 24)
	}
	return netip.PrefixFrom(addr, 64)
}

func prefixes(addrs []netip.Addr) (all []netip.Prefix) {
	for _, a := range addrs {
		all = append(all, prefix(a))
	}
	return all
}

// network is two namespaces with a veth pair between them, which can be replaced.
type network struct {
	netns.Pair
	ifindex int // of serverLink
	queues  int
}

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

// connect makes the veth pair, with one queue each way.
func (n *network) connect() error {
	if err := n.Connect(serverLink, clientLink, maxQueues); err != nil {
		return err
	}
	n.queues = maxQueues
	if err := n.setQueues(1); err != nil {
		return err
	}
	if err := n.Configure(serverLink, clientLink, prefixes(serverAddrs), prefixes(clientAddrs)); err != nil {
		return err
	}
	return n.Server.Do(func() error {
		link, err := net.InterfaceByName(serverLink)
		if err == nil {
			n.ifindex = link.Index
		}
		return err
	})
}

// replace deletes the pair and makes another.
func (n *network) replace() error {
	err := n.onServerLink(func(h *netlink.Handle, link netlink.Link) error { return h.LinkDel(link) })
	if err != nil {
		return fmt.Errorf("delete %s: %w", serverLink, err)
	}
	return n.connect()
}

func (n *network) onServerLink(f func(*netlink.Handle, netlink.Link) error) error {
	return n.Server.Netlink(func(h *netlink.Handle) error {
		link, err := h.LinkByName(serverLink)
		if err != nil {
			return err
		}
		return f(h, link)
	})
}

func (n *network) down() error {
	return n.onServerLink(func(h *netlink.Handle, link netlink.Link) error { return h.LinkSetDown(link) })
}

// up sets the servers' end up. IPv6 addresses go when an interface goes down.
func (n *network) up() error {
	err := n.onServerLink(func(h *netlink.Handle, link netlink.Link) error {
		return errors.Join(h.LinkSetUp(link), h.AddrReplace(link, netns.Address(prefix(serverAddrs[1]))))
	})
	return errors.Join(err, n.Server.WaitUp(serverLink), n.Client.WaitUp(clientLink))
}

func (n *network) addAddress(a netip.Addr) error {
	return n.onServerLink(func(h *netlink.Handle, link netlink.Link) error {
		return h.AddrReplace(link, netns.Address(prefix(a)))
	})
}

func (n *network) deleteAddress(a netip.Addr) error {
	return n.onServerLink(func(h *netlink.Handle, link netlink.Link) error {
		return h.AddrDel(link, netns.Address(prefix(a)))
	})
}

// setQueues sets how many there are each way, at both ends. The kernel allows no end to send on
// more queues than the other receives on by XDP, and takes no queue from AF_XDP sockets: EINVAL.
func (n *network) setQueues(count int) error {
	server := func() error {
		return n.Server.Do(func() error { return ethtool.SetQueues(serverLink, count, count) })
	}
	client := func() error {
		return n.Client.Do(func() error { return ethtool.SetQueues(clientLink, count, count) })
	}
	steps := []func() error{server, client}
	if count < n.queues {
		steps = []func() error{client, server}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	n.queues = count
	return nil
}
