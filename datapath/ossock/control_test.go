// SPDX-License-Identifier: MIT

package ossock

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// cmsg is one control message, padded to the next.
func cmsg(level, kind int, data ...byte) []byte {
	c := control{buf: make([]byte, 512)}
	copy(c.add(level, kind, len(data)), data)
	return c.buf[:c.n]
}

func v6pktinfo(ip string) []byte {
	a := netip.MustParseAddr(ip).As16()
	return append(a[:], native32(7)...)
}

func native32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// What the kernel sends with a datagram, one part each.
var (
	pktinfo6       = cmsg(unix.SOL_IPV6, unix.IPV6_PKTINFO, v6pktinfo("2001:db8::1")...)
	pktinfoMapped  = cmsg(unix.SOL_IPV6, unix.IPV6_PKTINFO, v6pktinfo("::ffff:10.0.0.1")...)
	pktinfo4       = cmsg(unix.SOL_IP, unix.IP_PKTINFO, append(native32(7), 99, 99, 99, 99, 10, 0, 0, 1)...)
	tclass         = cmsg(unix.SOL_IPV6, unix.IPV6_TCLASS, native32(0xb9)...)
	tos            = cmsg(unix.SOL_IP, unix.IP_TOS, 0xb9)
	hopLimit       = cmsg(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, native32(64)...)
	ttl            = cmsg(unix.SOL_IP, unix.IP_TTL, native32(64)...)
	gro            = cmsg(unix.SOL_UDP, unix.UDP_GRO, native32(1200)...)
	unknown        = cmsg(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, bytes.Repeat([]byte{0xff}, 16)...)
	local6, local4 = withScope("[2001:db8::1]:0", 7), withScope("10.0.0.1:0", 7)
)

func TestParseControl(t *testing.T) {
	for _, test := range []struct {
		name string
		in   [][]byte
		want received
	}{
		{"nothing", nil, received{}},
		{"IPv6 destination and interface", [][]byte{pktinfo6}, received{local: local6, have: haveLocal}},
		{"mapped destination", [][]byte{pktinfoMapped}, received{local: local4, have: haveLocal}},
		{"IPv4 destination, not the local address of the route", [][]byte{pktinfo4}, received{local: local4, have: haveLocal}},
		{"traffic class", [][]byte{tclass}, received{tos: 0xb9, have: haveTOS}},
		{"TOS of one byte", [][]byte{tos}, received{tos: 0xb9, have: haveTOS}},
		{"TOS as an int", [][]byte{cmsg(unix.SOL_IP, unix.IP_TOS, native32(0xb9)...)}, received{tos: 0xb9, have: haveTOS}},
		{"TOS 0 is there", [][]byte{cmsg(unix.SOL_IP, unix.IP_TOS, 0)}, received{have: haveTOS}},
		{"hop limit", [][]byte{hopLimit}, received{ttl: 64, have: haveTTL}},
		{"TTL", [][]byte{ttl}, received{ttl: 64, have: haveTTL}},
		{"segment size", [][]byte{gro}, received{segment: 1200}},
		{"all of IPv6", [][]byte{pktinfo6, tclass, hopLimit, gro}, received{local6, 0xb9, 64, 1200, haveAll}},
		{"all of IPv4 on an IPv6 socket", [][]byte{pktinfoMapped, tos, ttl, gro}, received{local4, 0xb9, 64, 1200, haveAll}},
		{"all of IPv4", [][]byte{gro, ttl, tos, pktinfo4}, received{local4, 0xb9, 64, 1200, haveAll}},
		{"unknown first", [][]byte{unknown, ttl}, received{ttl: 64, have: haveTTL}},
		{"unknown kind", [][]byte{cmsg(unix.SOL_IP, unix.IP_RECVERR, native32(1)...), ttl}, received{ttl: 64, have: haveTTL}},
		{"kind of another level", [][]byte{cmsg(unix.SOL_UDP, unix.IP_TTL, native32(9)...)}, received{}},
		{"empty message", [][]byte{cmsg(unix.SOL_IP, unix.IP_TTL), tos}, received{tos: 0xb9, have: haveTOS}},
		{"short IPv6 destination", [][]byte{cmsg(unix.SOL_IPV6, unix.IPV6_PKTINFO, make([]byte, 19)...), ttl}, received{ttl: 64, have: haveTTL}},
		{"short IPv4 destination", [][]byte{cmsg(unix.SOL_IP, unix.IP_PKTINFO, make([]byte, 11)...), ttl}, received{ttl: 64, have: haveTTL}},
		{"short TTL", [][]byte{cmsg(unix.SOL_IP, unix.IP_TTL, 1, 2, 3), tos}, received{tos: 0xb9, have: haveTOS}},
		{"short hop limit", [][]byte{cmsg(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, 1, 2, 3), tos}, received{tos: 0xb9, have: haveTOS}},
		{"short segment size", [][]byte{cmsg(unix.SOL_UDP, unix.UDP_GRO, 1, 2, 3), tos}, received{tos: 0xb9, have: haveTOS}},
	} {
		var got received
		parseControl(exact(bytes.Join(test.in, nil)), &got)
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// A length that cannot be ends the list; what came before it counts.
func TestParseControlStopsAtABadLength(t *testing.T) {
	for _, n := range []uint64{0, 1, cmsgHeader - 1, uint64(len(ttl)) + uint64(len(tos)) + 1, 1 << 32, 1<<63 - 1, 1 << 63, ^uint64(0) - 6, ^uint64(0)} {
		in := slices.Concat(tclass, ttl, tos)
		binary.NativeEndian.PutUint64(in[len(tclass):], n)
		var got received
		parseControl(exact(in), &got)
		if want := (received{tos: 0xb9, have: haveTOS}); got != want {
			t.Errorf("length %#x: %+v, want %+v", n, got, want)
		}
	}
}

// Wherever the buffer ends: every message that is in it whole counts, and no other.
func TestParseControlTruncatedAtEachByte(t *testing.T) {
	parts := [][]byte{pktinfo6, tclass, unknown, hopLimit, gro}
	all := bytes.Join(parts, nil)
	for end := range len(all) + 1 {
		var want, got received
		start := 0
		for _, part := range parts {
			if n := int(binary.NativeEndian.Uint64(part)); start+n <= end {
				parseControl(part, &want)
			}
			start += len(part)
		}
		parseControl(exact(all[:end]), &got)
		if got != want {
			t.Errorf("%d of %d bytes: %+v, want %+v", end, len(all), got, want)
		}
	}
}

// exact copies b into memory of just its length, so that reading on panics.
func exact(b []byte) []byte { return append(make([]byte, 0, len(b)), b...)[:len(b):len(b)] }

func FuzzParseControl(f *testing.F) {
	for _, seed := range [][][]byte{{pktinfo6, tclass, hopLimit, gro}, {pktinfoMapped, tos, ttl, gro}, {pktinfo4, unknown, tos, ttl}, {gro[:20]}} {
		f.Add(bytes.Join(seed, nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got received
		parseControl(exact(b), &got)
		messages, err := unix.ParseSocketControlMessage(exact(b))
		if err != nil {
			return // package unix then tells nothing; that ours did not panic is all there is to see
		}
		if want := independently(messages); got != want {
			t.Errorf("%x: %+v, want %+v", b, got, want)
		}
	})
}

// independently reads what package unix has found.
func independently(messages []unix.SocketControlMessage) (r received) {
	for _, m := range messages {
		var number uint32
		if len(m.Data) >= 4 {
			number = binary.NativeEndian.Uint32(m.Data)
		}
		switch [2]int32{m.Header.Level, m.Header.Type} {
		case [2]int32{unix.SOL_IPV6, unix.IPV6_PKTINFO}:
			if len(m.Data) < 20 {
				continue
			}
			r.have |= haveLocal
			r.local = batch.Addr{Family: unix.AF_INET6, V6: [16]byte(m.Data), Scope: binary.NativeEndian.Uint32(m.Data[16:])}
			if bytes.HasPrefix(m.Data, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}) {
				r.local = batch.Addr{Family: unix.AF_INET, V4: [4]byte(m.Data[12:]), Scope: r.local.Scope}
			}
		case [2]int32{unix.SOL_IP, unix.IP_PKTINFO}:
			if len(m.Data) >= 12 {
				r.have |= haveLocal
				r.local = batch.Addr{Family: unix.AF_INET, V4: [4]byte(m.Data[8:]), Scope: number}
			}
		case [2]int32{unix.SOL_IPV6, unix.IPV6_TCLASS}, [2]int32{unix.SOL_IP, unix.IP_TOS}:
			if len(m.Data) >= 4 {
				r.tos, r.have = byte(number), r.have|haveTOS
			} else if len(m.Data) >= 1 {
				r.tos, r.have = m.Data[0], r.have|haveTOS
			}
		case [2]int32{unix.SOL_IPV6, unix.IPV6_HOPLIMIT}, [2]int32{unix.SOL_IP, unix.IP_TTL}:
			if len(m.Data) >= 4 {
				r.ttl, r.have = byte(number), r.have|haveTTL
			}
		case [2]int32{unix.SOL_UDP, unix.UDP_GRO}:
			if len(m.Data) >= 4 {
				r.segment = number
			}
		}
	}
	return r
}

// What a send names, a receive would read: both speak of the same fields.
func TestControlRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.SampledFrom([]int{unix.AF_INET, unix.AF_INET6}).Draw(t, "family")
		source := batch.Addr{Family: uint16(family), Scope: rapid.Uint32().Draw(t, "scope")}
		if family == unix.AF_INET {
			source.V4 = [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))
		} else {
			source.V6 = [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6"))
			source.V6[0] |= 1 // not mapped: send un-maps before
		}
		class := rapid.Byte().Draw(t, "tos")
		c := control{buf: make([]byte, batch.TxControl)}
		for i := range c.buf {
			c.buf[i] = 0xa5 // a block is recycled as it is
		}
		c.addTOS(family, class)
		c.addSource(&source)
		c.addSegment(1200)

		want := received{local: source, tos: class, have: haveLocal}
		if class != 0 {
			want.have |= haveTOS
		}
		var got received
		parseControl(exact(c.buf[:c.n]), &got)
		if got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
		messages, err := unix.ParseSocketControlMessage(c.buf[:c.n])
		if err != nil {
			t.Fatal(err)
		}
		segment := messages[len(messages)-1]
		if segment.Header.Level != unix.SOL_UDP || segment.Header.Type != unix.UDP_SEGMENT ||
			len(segment.Data) != 2 || binary.NativeEndian.Uint16(segment.Data) != 1200 {
			t.Fatalf("segment size: %+v", segment)
		}
		for _, b := range c.buf[c.n:] {
			if b != 0xa5 {
				t.Fatal("wrote behind the last message")
			}
		}
	})
}

// The IPv4 source is named twice: as the address of the route and of the packet.
func TestIPv4SourceIsTheRoutesAddress(t *testing.T) {
	c := control{buf: make([]byte, batch.TxControl)}
	c.addSource(&local4)
	info := c.buf[cmsgHeader:c.n]
	if want := append(native32(7), 10, 0, 0, 1, 10, 0, 0, 1); !bytes.Equal(info[:len(want)], want) {
		t.Errorf("in_pktinfo is %x, want %x", info, want)
	}
}

func TestNoTrafficClassNeedsNoMessage(t *testing.T) {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		c := control{buf: make([]byte, batch.TxControl)}
		if c.addTOS(family, 0); c.n != 0 {
			t.Errorf("family %d: %d bytes", family, c.n)
		}
	}
}

// A recycled block holds what it held before; a message has only what is put in it.
func TestAddedMessageIsZeroed(t *testing.T) {
	c := control{buf: bytes.Repeat([]byte{0xa5}, 64)}
	if data := c.add(unix.SOL_IP, unix.IP_TOS, 5); !bytes.Equal(data, make([]byte, 5)) {
		t.Errorf("%x", data)
	}
	if end := c.buf[cmsgHeader:c.n]; !bytes.Equal(end, make([]byte, 8)) {
		t.Errorf("with its padding %x", end)
	}
}

// All that a datagram can need fits, whether it is sent or received.
func TestControlBuffersAreLargeEnough(t *testing.T) {
	if n := len(pktinfo6) + len(tclass) + len(hopLimit) + len(gro); n > batch.RxControl {
		t.Errorf("received: %d bytes, room for %d", n, batch.RxControl)
	}
	c := control{buf: make([]byte, batch.TxControl)}
	c.addTOS(unix.AF_INET6, 1)
	c.addSource(&local6)
	c.addSegment(1)
}
