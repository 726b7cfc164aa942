// SPDX-License-Identifier: MIT

package ossock

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// received is what the control messages of one message say.
type received struct {
	local   batch.Addr // destination of the packet, un-mapped; Scope is the arrival interface; no port
	tos     uint8
	ttl     uint8
	segment uint32 // bytes of every datagram but the last; 0: a single datagram
	have    uint8  // which of the three that must be there were found
}

const (
	haveLocal = 1 << iota
	haveTOS
	haveTTL
	haveAll = haveLocal | haveTOS | haveTTL
)

const (
	cmsgHeader = unix.SizeofCmsghdr
	cmsgAlign  = 8
)

// parseControl reads control messages. Anything unknown, short or overlong is
// passed over: the caller drops a message without all of [haveAll].
//
// Layouts: ip(7), ipv6(7), udp(7), cmsg(3); lengths include the header.
func parseControl(b []byte, r *received) {
	for len(b) >= cmsgHeader {
		n := binary.NativeEndian.Uint64(b)
		if n < cmsgHeader || n > uint64(len(b)) {
			return
		}
		level, kind := binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:])
		r.take(int(level), int(kind), b[cmsgHeader:n])
		next := (n + cmsgAlign - 1) &^ (cmsgAlign - 1)
		if next >= uint64(len(b)) {
			return
		}
		b = b[next:]
	}
}

func (r *received) take(level, kind int, data []byte) {
	switch {
	case level == unix.SOL_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		r.local = batch.Addr{Family: unix.AF_INET6, V6: [16]byte(data), Scope: binary.NativeEndian.Uint32(data[16:])}
		r.local.Unmap()
		r.have |= haveLocal
	case level == unix.SOL_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		r.local = batch.Addr{Family: unix.AF_INET, V4: [4]byte(data[8:]), Scope: binary.NativeEndian.Uint32(data)}
		r.have |= haveLocal
	case (level == unix.SOL_IPV6 && kind == unix.IPV6_TCLASS || level == unix.SOL_IP && kind == unix.IP_TOS) && len(data) >= 1:
		r.tos = data[0] // one byte for IPv4; an int for IPv6
		r.have |= haveTOS
		if len(data) >= 4 {
			r.tos = uint8(binary.NativeEndian.Uint32(data))
		}
	case (level == unix.SOL_IPV6 && kind == unix.IPV6_HOPLIMIT || level == unix.SOL_IP && kind == unix.IP_TTL) && len(data) >= 4:
		r.ttl = uint8(binary.NativeEndian.Uint32(data))
		r.have |= haveTTL
	case level == unix.SOL_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		r.segment = binary.NativeEndian.Uint32(data)
	}
}

// control builds control messages in place, without allocating.
type control struct {
	buf []byte
	n   int
}

// add appends one message with room for size bytes of data, which it returns zeroed.
func (c *control) add(level, kind, size int) []byte {
	start := c.n
	c.n += (cmsgHeader + size + cmsgAlign - 1) &^ (cmsgAlign - 1)
	m := c.buf[start:c.n]
	clear(m)
	binary.NativeEndian.PutUint64(m, uint64(cmsgHeader+size))
	binary.NativeEndian.PutUint32(m[8:], uint32(level))
	binary.NativeEndian.PutUint32(m[12:], uint32(kind))
	return m[cmsgHeader : cmsgHeader+size]
}

// addTOS sets ECN and DSCP of this send only. Zero is what the socket does anyway.
func (c *control) addTOS(family int, tos uint8) {
	if tos == 0 {
		return
	}
	if family == unix.AF_INET {
		binary.NativeEndian.PutUint32(c.add(unix.SOL_IP, unix.IP_TOS, 4), uint32(tos))
	} else {
		binary.NativeEndian.PutUint32(c.add(unix.SOL_IPV6, unix.IPV6_TCLASS, 4), uint32(tos))
	}
}

// addSource fixes source address and interface; a wildcard leaves both to the kernel.
func (c *control) addSource(a *batch.Addr) {
	if a.Family == unix.AF_INET {
		d := c.add(unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		binary.NativeEndian.PutUint32(d, a.Scope)
		copy(d[4:], a.V4[:]) // ipi_spec_dst: the source on output
		copy(d[8:], a.V4[:])
	} else {
		d := c.add(unix.SOL_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		copy(d, a.V6[:])
		binary.NativeEndian.PutUint32(d[16:], a.Scope)
	}
}

// addSegment asks the kernel to cut the payload into datagrams of n bytes.
func (c *control) addSegment(n uint16) {
	binary.NativeEndian.PutUint16(c.add(unix.SOL_UDP, unix.UDP_SEGMENT, 2), n)
}
