// SPDX-License-Identifier: MIT

package frame

import (
	"encoding/binary"
	"math/bits"
)

// Train takes apart frames that come one behind the other, as [Parse] does, and quicker
// where a frame is of the same flow as the one before it: senders of QUIC send their
// datagrams by the dozen. The headers of such a frame differ in so little that they
// are compared, eight bytes at a time, instead of being taken apart again.
//
// Packet is the latest datagram, as long as the verdict on its frame is OK. The zero
// value is ready for use.
type Train struct {
	Packet

	// Of the frame that began the run, if there is one:
	running bool
	is4     bool
	changes uint16 // the sum over what changes in an IPv4 header
	head    head
}

// head is the beginning of a frame, which has all headers, unless IPv4 has options. A
// multiple of 16 is copied in pieces from which eight bytes can be loaded at once.
type head [64]byte

func (h *head) word(at int) uint64 { return binary.NativeEndian.Uint64(h[at:]) }

func (h *head) number(at int) int { return int(binary.BigEndian.Uint16(h[at:])) }

// What stays the same in a run, of the eight bytes at an offset: not total length and
// identification of IPv4 at 16, its checksum at 24, the length of UDP behind it at 38;
// not the low bits of the flow label of IPv6 at 16, and its length at 18.
var (
	kept16 = (&head{4: 0xff, 5: 0xff, 6: 0xff, 7: 0xff}).word(0)
	kept24 = (&head{2: 0xff, 3: 0xff, 4: 0xff, 5: 0xff, 6: 0xff, 7: 0xff}).word(0)
	kept32 = (&head{0: 0xff, 1: 0xff, 2: 0xff, 3: 0xff, 4: 0xff, 5: 0xff}).word(0)
)

// Parse takes the next frame apart, see [Parse] for the verdict. same says that the flow
// is known to be that of the frame before.
func (t *Train) Parse(frame []byte) (v Verdict, same bool) {
	if t.running && len(frame) >= len(t.head) {
		h := (*head)(frame)
		if (t.is4 && t.alike4(h) || !t.is4 && t.alike6(h)) && t.fits(h, len(frame)) {
			return OK, true
		}
	}
	v = Parse(frame, &t.Packet)
	if t.running = v == OK && len(frame) >= len(t.head); t.running {
		t.begin((*head)(frame))
	}
	return v, false
}

func (t *Train) begin(h *head) {
	t.head = *h
	t.is4 = t.Source.Is4()
	t.changes = changes(h.word(16), h.word(24))
	t.running = !t.is4 || t.Offset == ethernetLen+ipv4Len+udpLen
}

// changes sums up what changes in an IPv4 header: total length and identification, of the
// eight bytes at 16, and the checksum, of those at 24. It is not 0, since the length is not.
func changes(at16, at24 uint64) uint16 {
	s, carry := bits.Add64(at16&^kept16, at24&^kept24, 0)
	return fold(s + carry)
}

// alike4 reports whether headers of IPv4 continue the run but for their lengths. The checksum
// is right, as that of the first frame is, if what changes has the same sum.
func (t *Train) alike4(h *head) bool {
	at16, at24 := h.word(16), h.word(24)
	d := t.differ(h, 0) | t.differ(h, 8) | t.differ(h, 32)&kept32
	d |= (at16^t.head.word(16))&kept16 | (at24^t.head.word(24))&kept24
	return d == 0 && changes(at16, at24) == t.changes
}

// alike6 is the same for IPv6.
func (t *Train) alike6(h *head) bool {
	d := t.differ(h, 0) | t.differ(h, 8) | t.differ(h, 16)&kept16 | t.differ(h, 24)
	d |= t.differ(h, 32) | t.differ(h, 40) | t.differ(h, 48) | t.differ(h, 50)
	return d == 0
}

// differ returns the bits of the eight bytes at an offset that differ from the run's.
func (t *Train) differ(h *head, at int) uint64 { return h.word(at) ^ t.head.word(at) }

// fits reports whether the lengths in headers that are alike can be those of a frame of n
// bytes, and puts that of the datagram into Packet if so.
func (t *Train) fits(h *head, n int) bool {
	room, length := h.number(18), h.number(58) // of the IP packet's payload, of UDP
	if t.is4 {
		room, length = h.number(16)-ipv4Len, h.number(38)
	}
	if length < udpLen || length > room || t.Offset-udpLen+room > n {
		return false
	}
	t.Length = length - udpLen
	return true
}
