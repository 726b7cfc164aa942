// SPDX-License-Identifier: MIT

package route

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// hop is a next hop of a route.
type hop struct {
	gateway netip.Addr // not valid for a neighbour on the link itself
	index   int        // of the interface
	dead    bool       // the kernel does not use it: RTNH_F_DEAD
}

// parseHop reads the hop of a route that has one. flags are RTNH_F_.
func parseHop(attrs []byte, flags uint32) hop {
	h := hop{dead: flags&unix.RTNH_F_DEAD != 0}
	for kind, value := range attributes(attrs) {
		switch kind {
		case unix.RTA_GATEWAY:
			h.gateway = addr(value)
		case unix.RTA_VIA:
			h.gateway = viaAddr(value)
		case unix.RTA_OIF:
			h.index = int(u32(value))
		}
	}
	return h
}

// viaAddr reads struct rtvia: the address family (16 bits), then an address
// of that family, which is not the route's.
func viaAddr(value []byte) netip.Addr {
	if len(value) < 2 {
		return netip.Addr{}
	}
	return addr(value[2:])
}

// parseMultipath reads a list of struct rtnexthop: length (16 bits), flags,
// weight (a byte each), interface index (32 bits), then attributes.
func parseMultipath(b []byte) []hop {
	var hops []hop
	for len(b) >= unix.SizeofRtNexthop {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtNexthop || size > len(b) {
			break
		}
		h := parseHop(b[unix.SizeofRtNexthop:size], uint32(b[2]))
		h.index = int(u32(b[4:]))
		hops = append(hops, h)
		b = b[min(align(size), len(b)):]
	}
	return hops
}
