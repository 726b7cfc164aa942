// SPDX-License-Identifier: MIT

package sockdiag

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Socket is a bound socket as the kernel shows it.
type Socket struct {
	V4     bool           // AF_INET, else AF_INET6
	V6Only bool           // of AF_INET6: takes no IPv4 (IPV6_V6ONLY)
	Local  netip.AddrPort // as bound: an AF_INET6 socket may show a mapped IPv4 address
	Remote netip.AddrPort // port 0 unless connected
	Device uint32         // index of the interface that it is bound to, or 0
	UID    uint32         // owner of the socket's inode: who made it, unless changed by fchown
	Inode  uint32         // as in /proc/*/fd and fstat
	Cookie uint64         // SO_COOKIE, never used twice
}

// Layout of struct inet_diag_msg. Ports and addresses are in network byte order.
const (
	messageSize  = 72
	offFamily    = 0
	offPorts     = 4 // source, destination
	offSource    = 8
	offDest      = 24
	offInterface = 40
	offCookie    = 44 // low half, high half
	offUID       = 64
	offInode     = 68

	attrV6Only = 11 // INET_DIAG_SKV6ONLY, one byte
)

// parse decodes an inet_diag_msg and the attributes behind it.
func parse(b []byte) (Socket, error) {
	if len(b) < messageSize {
		return Socket{}, fmt.Errorf("sock_diag: answer of %d bytes, want at least %d", len(b), messageSize)
	}
	u32 := func(off int) uint32 { return binary.NativeEndian.Uint32(b[off:]) }
	s := Socket{
		Device: u32(offInterface),
		UID:    u32(offUID),
		Inode:  u32(offInode),
		Cookie: uint64(u32(offCookie)) | uint64(u32(offCookie+4))<<32,
	}
	addr := func(off, port int) netip.AddrPort {
		ip := netip.AddrFrom16([16]byte(b[off:]))
		if s.V4 {
			ip = netip.AddrFrom4([4]byte(b[off:]))
		}
		return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[port:]))
	}
	switch family := b[offFamily]; family {
	case unix.AF_INET:
		s.V4 = true
	case unix.AF_INET6:
		only, _ := attribute(b[messageSize:], attrV6Only)
		s.V6Only = len(only) == 1 && only[0] != 0
	default:
		return Socket{}, fmt.Errorf("sock_diag: answer of address family %d", family)
	}
	s.Local, s.Remote = addr(offSource, offPorts), addr(offDest, offPorts+2)
	return s, nil
}

// attribute finds a netlink attribute. What is cut short is no attribute.
func attribute(b []byte, kind uint16) ([]byte, bool) {
	for len(b) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofNlAttr || size > len(b) {
			break
		}
		if binary.NativeEndian.Uint16(b[2:]) == kind {
			return b[unix.SizeofNlAttr:size], true
		}
		const align = unix.NLA_ALIGNTO
		b = b[min(len(b), (size+align-1)/align*align):]
	}
	return nil, false
}
