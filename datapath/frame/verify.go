// SPDX-License-Identifier: MIT

package frame

import "encoding/binary"

// Integrity is what the checksum of UDP says of a received datagram.
type Integrity uint8

const (
	// Correct: the datagram is as it was sent.
	Correct Integrity = iota
	// Unfinished: the field holds the sum over the pseudo-header, as a device
	// like veth leaves it when it hands a datagram from one kernel to another
	// that no wire has touched. It is as good as Correct there, and Wrong on a
	// device that has a wire.
	Unfinished
	// Absent: IPv4 without checksum. The kernel accepts it.
	Absent
	// Wrong: damaged, or IPv6 without checksum.
	Wrong
)

// Verify checks the UDP checksum of a frame that [Parse] took apart into p. It
// reads the whole payload. QUIC notices by itself when a datagram is damaged.
func (p *Packet) Verify(frame []byte) Integrity {
	udp := frame[p.Offset-udpLen:][:udpLen+p.Length]
	field := binary.NativeEndian.Uint16(udp[ChecksumOffset:])
	if field == 0 {
		if p.Source.Is4() {
			return Absent
		}
		return Wrong
	}
	// In v4-mapped form the prefixes add ffff each, which adds nothing.
	pseudo := add(sum(sum(0, p.Source[:]), p.Destination[:]), protocolUDP)
	pseudo = add(pseudo, uint16(len(udp)))
	switch {
	case fold(sum(pseudo, udp)) == 0xffff:
		return Correct
	case field == fold(pseudo):
		return Unfinished
	}
	return Wrong
}
