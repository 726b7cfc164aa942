// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// netif is an interface as the kernel describes it.
type netif struct {
	index     int
	name      string
	mtu       int
	mac       string // as six bytes; comparable
	up        bool
	loopback  bool
	ethernet  bool
	addresses int
	portOf    string // the bridge or bond that has its addresses
}

// view is what the host has of interfaces and addresses, at one time.
type view struct {
	links     map[int]netif
	addresses []netip.Addr
}

// errListed is why an interface is not served whatever else happens to it.
type errListed struct{ error }

// unfit says why an interface is not to be served; nil where it is.
func (o *Options) unfit(l *netif) error {
	switch {
	case l.loopback:
		return errListed{errors.New("it is the loopback")}
	case !l.ethernet:
		return errListed{errors.New("it is no Ethernet interface")}
	case o.Deny.names(l.name):
		return errListed{fmt.Errorf("the list of those not to serve names it: %v", o.Deny)}
	case len(o.Interfaces) > 0 && !o.Interfaces.names(l.name):
		return errListed{fmt.Errorf("the list of those to serve does not name it: %v", o.Interfaces)}
	case !l.up:
		return errors.New("it is down")
	case len(o.Interfaces) > 0:
		return nil // whoever names it knows why
	case l.portOf != "":
		return fmt.Errorf("it is a port of %s, which has the addresses", l.portOf)
	case l.addresses == 0:
		return errors.New("it has no address")
	}
	return nil
}

// look asks the kernel for all interfaces and addresses.
func look(h *netlink.Handle) (*view, error) {
	links, err := dump(h.LinkList)
	if err != nil {
		return nil, kerr.New("RTM_GETLINK", "all", err, "")
	}
	addrs, err := dump(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, kerr.New("RTM_GETADDR", "all", err, "")
	}
	v := &view{links: map[int]netif{}}
	names, vrf := map[int]string{}, map[int]bool{}
	for _, l := range links {
		names[l.Attrs().Index], vrf[l.Attrs().Index] = l.Attrs().Name, l.Type() == "vrf"
	}
	count := map[int]int{}
	for _, a := range addrs {
		count[a.LinkIndex]++
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			v.addresses = append(v.addresses, ip.Unmap())
		}
	}
	for _, l := range links {
		a := l.Attrs()
		d := netif{
			index: a.Index, name: a.Name, mtu: a.MTU, mac: string(a.HardwareAddr),
			up: a.Flags&net.FlagUp != 0, loopback: a.Flags&net.FlagLoopback != 0,
			ethernet: a.EncapType == "ether" && len(a.HardwareAddr) == 6, addresses: count[a.Index],
		}
		if m := a.MasterIndex; m != 0 && !vrf[m] {
			d.portOf = names[m]
		}
		v.links[a.Index] = d
	}
	return v, nil
}

// dump repeats a dump that a change has interrupted, a few times: more changes are
// announced, and looked at then.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range 5 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, nil
}

// Available is a cheap look at whether AF_XDP may be had: the privilege for its
// sockets, and an interface that is worth it. Nothing stays open.
func Available(o Options) bool {
	if _, err := xsk.Probe(); err != nil {
		return false
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return false
	}
	defer h.Close()
	v, err := look(h)
	if err != nil {
		return false
	}
	for _, l := range v.links {
		if o.unfit(&l) == nil {
			return true
		}
	}
	return false
}
