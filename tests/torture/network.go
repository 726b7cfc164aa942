// SPDX-License-Identifier: MIT

package torture

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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
	server, client *netns.Namespace
	ifindex        int // of serverLink
	queues         int
}

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
	return n, n.connect()
}

func (n *network) close() {
	for _, ns := range []*netns.Namespace{n.server, n.client} {
		if ns != nil {
			ns.Close()
		}
	}
}

// connect makes the veth pair, with one queue each way.
func (n *network) connect() error {
	if err := n.server.Netlink(n.addVeth); err != nil {
		return err
	}
	n.queues = maxQueues
	if err := n.setQueues(1); err != nil {
		return err
	}
	if err := n.server.Configure(serverLink, prefixes(serverAddrs)); err != nil {
		return err
	}
	if err := n.client.Configure(clientLink, prefixes(clientAddrs)); err != nil {
		return err
	}
	if err := errors.Join(n.server.WaitUp(serverLink), n.client.WaitUp(clientLink)); err != nil {
		return err
	}
	return n.server.Do(func() error {
		link, err := net.InterfaceByName(serverLink)
		if err == nil {
			n.ifindex = link.Index
		}
		return err
	})
}

// addVeth runs in the servers' namespace.
func (n *network) addVeth(h *netlink.Handle) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumRxQueues, attrs.NumTxQueues = serverLink, maxQueues, maxQueues
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: clientLink, PeerNamespace: netlink.NsFd(n.client.FD()),
		PeerNumRxQueues: maxQueues, PeerNumTxQueues: maxQueues}
	if err := h.LinkAdd(pair); err != nil {
		return fmt.Errorf("add the veth pair %s, %s: %w", serverLink, clientLink, err)
	}
	return nil
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
	return n.server.Netlink(func(h *netlink.Handle) error {
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
	return errors.Join(err, n.server.WaitUp(serverLink), n.client.WaitUp(clientLink))
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
		return n.server.Do(func() error { return setChannels(serverLink, count) })
	}
	client := func() error {
		return n.client.Do(func() error { return setChannels(clientLink, count) })
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

// channels is struct ethtool_channels of linux/ethtool.h.
type channels struct {
	command                                uint32
	maxRX, maxTX, maxOther, maxCombined    uint32
	rxCount, txCount, otherCount, combined uint32
}

const setChannelsCommand = 0x3d // ETHTOOL_SCHANNELS

// setChannels runs in the namespace of the interface.
func setChannels(name string, count int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	c := channels{command: setChannelsCommand, rxCount: uint32(count), txCount: uint32(count)}
	var request struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	request.data = unsafe.Pointer(&c)
	// Safety: the kernel reads the struct behind data, of the size that it knows for the command.
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(&c)
	if errno != 0 {
		return fmt.Errorf("set %d channels of %s: %w", count, name, errno)
	}
	return nil
}
