// SPDX-License-Identifier: MIT

package batch

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Addr is QUIC_ADDR: a sockaddr_in or sockaddr_in6, 28 bytes.
//
// The interface index of an IPv4 address is kept in Scope too, beyond
// sockaddr_in: MsQuic moves all 28 bytes, and the send path reads it from there.
type Addr struct {
	Family uint16
	Port   [2]byte // network byte order
	V4     [4]byte // the address of AF_INET; the flow label of AF_INET6
	V6     [16]byte
	Scope  uint32
}

var mappedPrefix = [12]byte{10: 0xff, 11: 0xff}

// AddrFrom makes an Addr; an invalid address becomes the zero Addr.
func AddrFrom(ap netip.AddrPort) Addr {
	var a Addr
	switch ip := ap.Addr(); {
	case ip.Is4():
		a.Family, a.V4 = unix.AF_INET, ip.As4()
	case ip.Is6():
		a.Family, a.V6 = unix.AF_INET6, ip.As16()
	default:
		return a
	}
	binary.BigEndian.PutUint16(a.Port[:], ap.Port())
	return a
}

// AddrPort is the reverse of [AddrFrom]; an unknown family gives an invalid address.
func (a *Addr) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(a.IP(), a.PortNumber())
}

// IP returns the address without port and scope; invalid for an unknown family.
func (a *Addr) IP() netip.Addr {
	switch a.Family {
	case unix.AF_INET:
		return netip.AddrFrom4(a.V4)
	case unix.AF_INET6:
		return netip.AddrFrom16(a.V6)
	}
	return netip.Addr{}
}

// PortNumber returns the port in host byte order.
func (a *Addr) PortNumber() uint16 { return binary.BigEndian.Uint16(a.Port[:]) }

// IsMapped reports whether a is an IPv6 address that holds an IPv4 one (::ffff:a.b.c.d).
func (a *Addr) IsMapped() bool {
	return a.Family == unix.AF_INET6 && *(*[12]byte)(a.V6[:12]) == mappedPrefix
}

// Map turns IPv4 into IPv4-mapped IPv6, which is how an AF_INET6 socket names it.
func (a *Addr) Map() {
	if a.Family != unix.AF_INET {
		return
	}
	*a = Addr{Family: unix.AF_INET6, Port: a.Port, V6: mapped(a.V4)}
}

// Unmap is the reverse of [Addr.Map]. It keeps Scope.
func (a *Addr) Unmap() {
	if !a.IsMapped() {
		return
	}
	*a = Addr{Family: unix.AF_INET, Port: a.Port, V4: [4]byte(a.V6[12:]), Scope: a.Scope}
}

func mapped(v4 [4]byte) (v6 [16]byte) {
	copy(v6[:], mappedPrefix[:])
	copy(v6[12:], v4[:])
	return v6
}

// SameHostPort reports whether family, address and port agree, which is all that MsQuic compares.
func (a *Addr) SameHostPort(b *Addr) bool {
	if a.Family != b.Family || a.Port != b.Port {
		return false
	}
	if a.Family == unix.AF_INET {
		return a.V4 == b.V4
	}
	return a.V6 == b.V6
}

// Sockaddr returns a as the kernel takes it, and its length.
func (a *Addr) Sockaddr() (unsafe.Pointer, uint32) {
	if a.Family == unix.AF_INET {
		return unsafe.Pointer(a), unix.SizeofSockaddrInet4
	}
	return unsafe.Pointer(a), unix.SizeofSockaddrInet6
}
