// SPDX-License-Identifier: MIT

package frame

import (
	"encoding/binary"
	"errors"
)

const (
	ethernetLen = 14
	ipv4Len     = 20 // without options
	ipv6Len     = 40
	udpLen      = 8

	// MaxLen is the most that headers take, in bytes: those of IPv6.
	MaxLen = ethernetLen + ipv6Len + udpLen

	// ChecksumOffset is where the checksum is in the UDP header.
	ChecksumOffset = 6

	// DefaultHopLimit is what MsQuic sends on other systems.
	DefaultHopLimit = 128

	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	protocolUDP   = 17

	// In the 16 bits of flags and fragment offset.
	dontFragment = 0x4000
	isFragment   = 0x3fff // there are more fragments, or an offset
)

var (
	// ErrFamily says that source and destination are of different IP versions.
	ErrFamily = errors.New("frame: source and destination address are of different IP versions")
	// ErrLength says that a frame is shorter than its headers, or that the
	// payload does not fit into a datagram.
	ErrLength = errors.New("frame: the frame has no room for its headers, or the payload is too long for a datagram")
)

// Flow is what the datagrams of one send have in common.
type Flow struct {
	SourceMAC, DestinationMAC   MAC
	Source, Destination         IP
	SourcePort, DestinationPort uint16
	TrafficClass                uint8 // DSCP<<2 | ECN; TOS in IPv4
	HopLimit                    uint8 // TTL in IPv4; to be sent, 0 is DefaultHopLimit
}

// Headers are the headers of a flow, complete but for what depends on the
// payload. The zero value is not ready for use.
type Headers struct {
	bytes  [MaxLen]byte
	ip     uint64 // sum over the IPv4 header, total length 0
	pseudo uint64 // sum over the pseudo-header, length 0
	is4    bool
}

// Set makes headers for a flow, in which the flow label of IPv6 is a hash of
// addresses and ports, and IPv4 datagrams must not be fragmented, so that
// their identification is 0 (RFC 6864). The error is ErrFamily.
func (h *Headers) Set(f *Flow) error {
	h.is4 = f.Source.Is4()
	if f.Destination.Is4() != h.is4 {
		return ErrFamily
	}
	copy(h.bytes[0:], f.DestinationMAC[:])
	copy(h.bytes[6:], f.SourceMAC[:])
	hopLimit := f.HopLimit
	if hopLimit == 0 {
		hopLimit = DefaultHopLimit
	}
	if h.is4 {
		h.setIPv4(f, hopLimit)
	} else {
		h.setIPv6(f, hopLimit)
	}
	udp := h.bytes[h.ChecksumStart():]
	binary.BigEndian.PutUint16(udp[0:], f.SourcePort)
	binary.BigEndian.PutUint16(udp[2:], f.DestinationPort)
	return nil
}

func (h *Headers) setIPv4(f *Flow, ttl uint8) {
	binary.BigEndian.PutUint16(h.bytes[12:], etherTypeIPv4)
	ip := h.bytes[ethernetLen:][:ipv4Len]
	clear(ip)
	ip[0] = 4<<4 | ipv4Len/4
	ip[1] = f.TrafficClass
	binary.BigEndian.PutUint16(ip[6:], dontFragment)
	ip[8] = ttl
	ip[9] = protocolUDP
	copy(ip[12:], f.Source[12:])
	copy(ip[16:], f.Destination[12:])
	h.ip = sum(0, ip)
	h.pseudo = add(sum(0, ip[12:20]), protocolUDP)
}

func (h *Headers) setIPv6(f *Flow, hopLimit uint8) {
	binary.BigEndian.PutUint16(h.bytes[12:], etherTypeIPv6)
	ip := h.bytes[ethernetLen:][:ipv6Len]
	binary.BigEndian.PutUint32(ip[0:], 6<<28|uint32(f.TrafficClass)<<20|flowLabel(f))
	ip[6] = protocolUDP
	ip[7] = hopLimit
	copy(ip[8:], f.Source[:])
	copy(ip[24:], f.Destination[:])
	h.pseudo = add(sum(0, ip[8:40]), protocolUDP)
}

// Len returns how many bytes the headers take.
func (h *Headers) Len() int { return h.ChecksumStart() + udpLen }

// ChecksumStart returns where the UDP header starts in the frame, which is
// where the checksum begins.
func (h *Headers) ChecksumStart() int {
	if h.is4 {
		return ethernetLen + ipv4Len
	}
	return ethernetLen + ipv6Len
}

// Put writes the headers into the first Len bytes of frame; the payload is the
// rest. The UDP checksum is never 0, which would say that there is none. The
// error is ErrLength.
func (h *Headers) Put(frame []byte, c Checksum) error {
	start := h.ChecksumStart()
	length := len(frame) - start // of UDP
	if length < udpLen || len(frame)-ethernetLen-h.uncounted() > 0xffff {
		return ErrLength
	}
	udp := h.bytes[start:][:udpLen]
	copy(frame, h.bytes[:start+udpLen])
	if h.is4 {
		total := uint16(len(frame) - ethernetLen)
		binary.BigEndian.PutUint16(frame[ethernetLen+2:], total)
		binary.NativeEndian.PutUint16(frame[ethernetLen+10:], ^fold(add(h.ip, total)))
	} else {
		binary.BigEndian.PutUint16(frame[ethernetLen+4:], uint16(length))
	}
	s := add(h.pseudo, uint16(length))
	check := fold(s)
	if c == Full {
		s = sum(add(s, uint16(length)), udp[:4]) // the ports
		if check = ^fold(sum(s, frame[start+udpLen:])); check == 0 {
			check = 0xffff
		}
	}
	binary.BigEndian.PutUint16(frame[start+4:], uint16(length))
	binary.NativeEndian.PutUint16(frame[start+ChecksumOffset:], check)
	return nil
}

// uncounted returns how many bytes of the IP header its length field leaves out.
func (h *Headers) uncounted() int {
	if h.is4 {
		return 0
	}
	return ipv6Len
}
