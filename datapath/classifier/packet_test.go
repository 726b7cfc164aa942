// SPDX-License-Identifier: MIT

package classifier

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// Where the fields of a packet are, in bytes, that has no VLAN tags and no options.
const (
	atEthertype   = 12
	atIP          = 14 // version and length of the header
	atTotalLength = 16 // of IPv4
	atFragment    = 20 // of IPv4
	atProtocol    = 23 // of IPv4
	atUDP4        = 34
	atLength6     = 18
	atNextHeader  = 20
	atUDP6        = 54
	atPort        = 2 // in the UDP header
	atUDPLength   = 4
)

// udp is a datagram for a port, with its UDP header.
func udp(port uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x30, 0x39}, port) // from port 12345
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return slices.Concat(b, []byte{0, 0}, payload)
}

// frame is a packet of an ethertype.
func frame(ethertype uint16, payload []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	return append(binary.BigEndian.AppendUint16(b, ethertype), payload...)
}

// ipv4 is a packet with these options, a multiple of 4 bytes, and behind them the payload of a protocol.
func ipv4(to netip.Addr, protocol byte, options, payload []byte) []byte {
	header := 20 + len(options)
	b := []byte{0x40 | byte(header/4), 0}
	b = binary.BigEndian.AppendUint16(b, uint16(header+len(payload)))
	b = append(b, 0, 0, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, 77)
	address := to.As4()
	return frame(unix.ETH_P_IP, slices.Concat(b, address[:], options, payload))
}

// ipv6 is a packet whose IPv6 header is followed by this next header.
func ipv6(to netip.Addr, next byte, payload []byte) []byte {
	b := []byte{0x60, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, next, 64, 0xfd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
	address := to.As16()
	return frame(unix.ETH_P_IPV6, slices.Concat(b, address[:], payload))
}

// packet is one with a datagram.
func packet(to netip.Addr, port uint16, payload []byte) []byte {
	return behind(to, udp(port, payload), nil)
}

// behind is a packet with a datagram and with bytes behind it that belong to the IP packet.
func behind(to netip.Addr, datagram, more []byte) []byte {
	payload := slices.Concat(datagram, more)
	if to.Is4() {
		return ipv4(to, unix.IPPROTO_UDP, nil, payload)
	}
	return ipv6(to, unix.IPPROTO_UDP, payload)
}

// long and short make a payload with an identifier where e has it.
func long(e cibir.Encoding, id cibir.ID) []byte {
	source := slices.Concat(filler(int(e.SourceOffset)), id.Bytes(), []byte{0xee, 0xee})
	return header(8, source[:min(len(source), 255)])
}

// header makes a payload with a destination connection ID of this length, and this source connection ID.
func header(destination int, source []byte) []byte {
	return slices.Concat([]byte{0xc0, 0, 0, 0, 1, byte(destination)}, filler(destination), []byte{byte(len(source))}, source,
		[]byte("some payload that is longer"))
}

func short(e cibir.Encoding, id cibir.ID) []byte {
	return slices.Concat([]byte{0x40}, filler(int(e.DestinationOffset)), id.Bytes(), []byte("some payload that is longer"))
}

func filler(n int) []byte { return slices.Repeat([]byte{0xdd}, n) }

// with returns a copy of a packet with other bytes at an offset.
func with(packet []byte, at int, bytes ...byte) []byte {
	changed := slices.Clone(packet)
	copy(changed[at:], bytes)
	return changed
}

// with16 returns a copy of a packet with another number at an offset.
func with16(packet []byte, at int, n uint16) []byte {
	return with(packet, at, byte(n>>8), byte(n))
}
