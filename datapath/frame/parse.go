// SPDX-License-Identifier: MIT

package frame

import "encoding/binary"

// Packet is a datagram that [Parse] took apart. The payload is
// frame[Offset:Offset+Length].
type Packet struct {
	Flow
	Offset, Length int
}

// Verdict is why [Parse] refuses a frame.
type Verdict uint8

const (
	OK         Verdict = iota
	Truncated          // ends before its headers do, or before the length that one of them states
	NotIP              // other EtherType, VLAN tags included
	Malformed          // a version or length that cannot be
	BadHeader          // wrong checksum of the IPv4 header
	Fragment           // of a larger IPv4 datagram
	NotUDP             // another protocol, or an IPv6 extension header
	Martian            // from an address that no other host can have
	verdictEnd         // how many there are
)

var verdictNames = [verdictEnd]string{"ok", "truncated", "not IP", "malformed", "bad IPv4 header checksum", "fragment", "not UDP", "martian source"}

func (v Verdict) String() string {
	if v >= verdictEnd {
		return "unknown"
	}
	return verdictNames[v]
}

// Parse takes apart a frame that nobody else writes to. p is complete when the
// verdict is OK, and of no use otherwise.
//
// IPv4 options are skipped. What follows the datagram in the frame (Ethernet
// pads to 60 bytes) or in the IP packet is left out. The checksum of UDP is not
// looked at: see [Packet.Verify].
func Parse(frame []byte, p *Packet) Verdict {
	if len(frame) < ethernetLen {
		return Truncated
	}
	p.DestinationMAC = MAC(frame[0:])
	p.SourceMAC = MAC(frame[6:])
	var verdict Verdict
	switch packet := frame[ethernetLen:]; binary.BigEndian.Uint16(frame[12:]) {
	case etherTypeIPv4:
		verdict = p.parseIPv4(packet)
	case etherTypeIPv6:
		verdict = p.parseIPv6(packet)
	default:
		return NotIP
	}
	if verdict != OK {
		return verdict
	}
	return p.parseUDP(frame)
}

// parseIPv4 leaves in Offset and Length where in the frame the IP payload is.
func (p *Packet) parseIPv4(ip []byte) Verdict {
	if len(ip) < ipv4Len {
		return Truncated
	}
	header, total := int(ip[0]&0xf)*4, int(binary.BigEndian.Uint16(ip[2:]))
	switch {
	case ip[0]>>4 != 4, header < ipv4Len, total < header:
		return Malformed
	case total > len(ip):
		return Truncated
	case fold(sumHeader(ip[:header])) != 0xffff:
		return BadHeader
	case binary.BigEndian.Uint16(ip[6:])&isFragment != 0:
		return Fragment
	case ip[9] != protocolUDP:
		return NotUDP
	case martian4([4]byte(ip[12:])):
		return Martian
	}
	p.TrafficClass, p.HopLimit = ip[1], ip[8]
	p.Source.set4([4]byte(ip[12:]))
	p.Destination.set4([4]byte(ip[16:]))
	p.Offset, p.Length = ethernetLen+header, total-header
	return OK
}

// parseIPv6 leaves in Offset and Length where in the frame the IP payload is.
func (p *Packet) parseIPv6(ip []byte) Verdict {
	if len(ip) < ipv6Len {
		return Truncated
	}
	length := int(binary.BigEndian.Uint16(ip[4:]))
	switch {
	case ip[0]>>4 != 6:
		return Malformed
	case length > len(ip)-ipv6Len:
		return Truncated
	case ip[6] != protocolUDP:
		return NotUDP
	case martian6((*IP)(ip[8:])), (*IP)(ip[24:]).Is4():
		return Martian
	}
	p.TrafficClass, p.HopLimit = ip[0]<<4|ip[1]>>4, ip[7]
	p.Source, p.Destination = IP(ip[8:]), IP(ip[24:])
	p.Offset, p.Length = ethernetLen+ipv6Len, length
	return OK
}

func (p *Packet) parseUDP(frame []byte) Verdict {
	if p.Length < udpLen {
		return Malformed
	}
	udp := frame[p.Offset:][:p.Length]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	switch {
	case length < udpLen:
		return Malformed
	case length > p.Length:
		return Truncated
	}
	p.SourcePort = binary.BigEndian.Uint16(udp[0:])
	p.DestinationPort = binary.BigEndian.Uint16(udp[2:])
	p.Offset += udpLen
	p.Length = length - udpLen
	return OK
}
