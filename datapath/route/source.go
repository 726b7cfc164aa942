// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// LookupOptions says more about the datagram whose way is asked for. The zero
// value is a datagram from a socket that is bound to nothing.
type LookupOptions struct {
	// Interface is the index of the interface by which the datagram must
	// leave, 0 for any. A link-local IPv6 peer needs it or a zone.
	//
	// As for a socket bound to an interface, the kernel then takes an IPv4 peer
	// that no route of that interface covers for a neighbour on its link.
	Interface int

	// Port is the UDP port of the peer, 0 if it is not known. Policy rules
	// and the choice among the paths of a multipath route may depend on it.
	Port uint16
}

// LocalAddressFor returns the source address that the kernel would give to a
// UDP datagram for remote, and the index of the interface by which the
// datagram would leave. Policy rules count, those by user ID (the thread's effective one) as well. For an
// address of this host the interface is the loopback interface.
//
// A v4-mapped remote is looked up as IPv4. As in connect(2), a zone counts for
// link-local IPv6 only; it may be the name or the index of an interface.
//
// A peer that cannot be reached is an [*Error] with the kernel's number:
// ENETUNREACH without a route, EHOSTUNREACH, EACCES and EINVAL for a route or
// rule of type unreachable, prohibit and blackhole. EADDRNOTAVAIL means that
// there is a route but no address to use on it, EINVAL also that remote is not
// an address to send to or lacks the interface that it needs.
func LocalAddressFor(remote netip.Addr, opts LookupOptions) (src netip.Addr, ifindex int, err error) {
	err = withConn(func(c *conn) error {
		found, err := c.lookup(remote, opts)
		src, ifindex = found.source, found.index
		return err
	})
	return src, ifindex, err
}

// path is how a datagram would go.
type path struct {
	source netip.Addr
	index  int // of the interface
}

// lookup asks the kernel for the path to remote.
func (c *conn) lookup(remote netip.Addr, opts LookupOptions) (path, error) {
	remote = remote.Unmap()
	fail := func(err error, hint string) (path, error) {
		args := fmt.Sprintf("%v, port %d, interface %d", remote, opts.Port, opts.Interface)
		return path{}, &Error{Op: "get route", Args: args, Err: err, Hint: hint}
	}
	if !remote.IsValid() || remote.IsUnspecified() {
		return fail(unix.EINVAL, "not an address to send to")
	}
	oif, err := c.outInterface(remote, opts.Interface)
	if err != nil {
		return path{}, err
	}
	msg, err := c.get(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, routeRequest(remote, oif, opts.Port)...)
	if err != nil {
		return fail(err, lookupHint(err))
	}
	found := parsePath(msg)
	if !found.source.IsValid() {
		return fail(unix.EADDRNOTAVAIL, "give the outgoing interface an address of the peer's family")
	}
	return found, nil
}

// routeRequest asks as `ip route get remote oif # ipproto udp dport # uid #`
// does. Without the user ID the kernel would take the thread's real one; a
// socket belongs to the effective one.
func routeRequest(remote netip.Addr, oif int, port uint16) []nl.NetlinkRequestData {
	family := unix.AF_INET
	if remote.Is6() {
		family = unix.AF_INET6
	}
	header := &nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family), Dst_len: uint8(remote.BitLen())}}
	parts := []nl.NetlinkRequestData{
		header,
		nl.NewRtAttr(unix.RTA_DST, remote.AsSlice()),
		nl.NewRtAttr(unix.RTA_IP_PROTO, nl.Uint8Attr(unix.IPPROTO_UDP)),
		nl.NewRtAttr(unix.RTA_UID, nl.Uint32Attr(uint32(unix.Geteuid()))),
	}
	if oif != 0 {
		parts = append(parts, nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(oif))))
	}
	if port != 0 {
		parts = append(parts, nl.NewRtAttr(unix.RTA_DPORT, nl.BEUint16Attr(port)))
	}
	return parts
}

// parsePath reads the RTM_NEWROUTE message that answers a lookup.
func parsePath(msg []byte) path {
	var p path
	for kind, value := range attributes(after(msg, unix.SizeofRtMsg)) {
		switch kind {
		case unix.RTA_PREFSRC:
			p.source = addr(value)
		case unix.RTA_OIF:
			p.index = int(u32(value))
		}
	}
	return p
}

func lookupHint(err error) string {
	switch {
	case errors.Is(err, unix.ENETUNREACH):
		return "no route covers the peer, by the interface if one was named; see `ip route get`"
	case errors.Is(err, unix.EHOSTUNREACH):
		return "a route or rule of type unreachable covers the peer; see `ip rule` and `ip route show table all`"
	case errors.Is(err, unix.EACCES):
		return "a route or rule of type prohibit covers the peer; see `ip rule` and `ip route show table all`"
	case errors.Is(err, unix.EINVAL):
		return "a route or rule of type blackhole may cover the peer; see `ip rule` and `ip route show table all`"
	case errors.Is(err, unix.ENODEV):
		return "no such interface in this network namespace"
	}
	return ""
}
