// SPDX-License-Identifier: MIT

package frame

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// fixIPv4 writes the checksum of an IPv4 header that has one.
func fixIPv4(frame []byte) {
	ip := frame[ethernetLen:]
	n := int(ip[0]&0xf) * 4
	if n < ipv4Len || n > len(ip) {
		return
	}
	ip = ip[:n]
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], ^slowSum(ip))
}

func TestParseVerdicts(t *testing.T) {
	set := func(at int, value ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], value); return b }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	vlan := func(tpid ...byte) func([]byte) []byte {
		return func(b []byte) []byte { return slices.Insert(b, 12, append(tpid, 0, 5)...) }
	}
	const ip, udp4, udp6 = 14, 34, 54
	for _, test := range []struct {
		name string
		flow *Flow
		edit func([]byte) []byte
		want Verdict
	}{
		{"as built", &flow4, cut(0), OK},
		{"as built, IPv6", &flow6, cut(0), OK},
		{"cut", &flow4, cut(1), Truncated},
		{"cut, IPv6", &flow6, cut(1), Truncated},
		{"ARP", &flow4, set(12, 8, 6), NotIP},
		{"802.3 length", &flow4, set(12, 0, 46), NotIP},
		{"VLAN", &flow4, vlan(0x81, 0), NotIP},
		{"service VLAN", &flow6, vlan(0x88, 0xa8), NotIP},
		{"version 6 in IPv4", &flow6, set(12, 8, 0), Malformed},
		{"version 4 in IPv6", &flow6, set(ip, 0x4b), Malformed},
		{"header of 16 bytes", &flow4, set(ip, 0x44), Malformed},
		{"header beyond the packet", &flow4, set(ip, 0x4f), Malformed},
		{"total length less than the header", &flow4, set(ip+2, 0, 19), Malformed},
		{"total length more than there is", &flow4, set(ip+2, 0, 34), Truncated},
		{"header checksum", &flow4, set(ip+10, 0, 0), BadHeader},
		{"reserved flag", &flow4, set(ip+6, 0x80), OK},
		{"may be fragmented", &flow4, set(ip+6, 0), OK},
		{"more fragments", &flow4, set(ip+6, 0x20), Fragment},
		{"last fragment", &flow4, set(ip+7, 1), Fragment},
		{"far fragment", &flow4, set(ip+6, 0x10), Fragment},
		{"TCP", &flow4, set(ip+9, 6), NotUDP},
		{"TCP, IPv6", &flow6, set(ip+6, 6), NotUDP},
		{"hop-by-hop options", &flow6, set(ip+6, 0), NotUDP},
		{"fragment, IPv6", &flow6, set(ip+6, 44), NotUDP},
		{"no room for UDP", &flow4, set(ip+2, 0, 27), Malformed},
		{"no room for UDP, IPv6", &flow6, set(ip+4, 0, 7), Malformed},
		{"jumbogram", &flow6, set(ip+4, 0, 0), Malformed},
		{"UDP length 7", &flow4, set(udp4+4, 0, 7), Malformed},
		{"UDP length 0, IPv6", &flow6, set(udp6+4, 0, 0), Malformed},
		{"UDP longer than the packet", &flow4, set(udp4+4, 0, 14), Truncated},
		{"UDP longer than the packet, IPv6", &flow6, set(udp6+4, 0xff, 0xff), Truncated},
		{"from 0.0.0.0", &flow4, set(ip+12, 0, 0, 0, 0), Martian},
		{"from loopback", &flow4, set(ip+12, 127, 0, 0, 1), Martian},
		{"from a group", &flow4, set(ip+12, 224), Martian},
		{"from everybody", &flow4, set(ip+12, 255, 255, 255, 255), Martian},
		{"from class E", &flow4, set(ip+12, 240), OK},
		{"from ::", &flow6, set(ip+8, make([]byte, 16)...), Martian},
		{"from ::1", &flow6, set(ip+8, append(make([]byte, 15), 1)...), Martian},
		{"from a group, IPv6", &flow6, set(ip+8, 0xff), Martian},
		{"from a mapped address", &flow6, set(ip+8, mappedPrefix[:]...), Martian},
		{"to a mapped address", &flow6, set(ip+24, mappedPrefix[:]...), Martian},
		{"from link-local", &flow6, set(ip+8, 0xfe, 0x80), OK},
	} {
		frame := test.edit(frameOf(t, test.flow, "hello", Full))
		if test.flow == &flow4 && test.want != BadHeader {
			fixIPv4(frame)
		}
		var p Packet
		if got := Parse(frame, &p); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestParseSkipsOptions(t *testing.T) {
	frame := frameOf(t, &flow4, "hello", Full)
	for words := 1; words <= 10; words++ {
		options := bytes.Repeat([]byte{1}, 4*words) // no operation
		long := slices.Insert(slices.Clone(frame), ethernetLen+ipv4Len, options...)
		long[ethernetLen] += byte(words)
		binary.BigEndian.PutUint16(long[ethernetLen+2:], uint16(len(long)-ethernetLen))
		fixIPv4(long)
		var p Packet
		if v := Parse(long, &p); v != OK || p.Flow != flow4 || string(long[p.Offset:][:p.Length]) != "hello" || p.Verify(long) != Correct {
			t.Errorf("%d words of options: %v, %+v", words, v, p)
		}
	}
}

// A datagram may be shorter than the packet that carries it.
func TestParseLeavesOutTheTail(t *testing.T) {
	for _, flow := range []*Flow{&flow4, &flow6} {
		frame := frameOf(t, flow, "hello", Full)
		long := frameOf(t, flow, "hello, world", Full)
		n := len(frame)
		udp := n - 5 - udpLen
		copy(long[udp:], frame[udp:])
		var p Packet
		if v := Parse(long, &p); v != OK || string(long[p.Offset:][:p.Length]) != "hello" || p.Verify(long) != Correct {
			t.Errorf("%v, %+v", v, p)
		}
	}
}

// Cut at every byte, in memory that ends there.
func TestParseTruncated(t *testing.T) {
	for _, flow := range []*Flow{&flow4, &flow6} {
		whole := frameOf(t, flow, "hello", Full)
		for n := range whole {
			var p Packet
			if v := Parse(slices.Clip(slices.Clone(whole[:n])), &p); v != Truncated {
				t.Errorf("%d of %d bytes: %v", n, len(whole), v)
			}
		}
	}
}

func TestVerdictNames(t *testing.T) {
	for v := range verdictEnd {
		if v.String() == "" || v.String() == "unknown" {
			t.Errorf("verdict %d has no name", v)
		}
	}
	if verdictEnd.String() != "unknown" {
		t.Error("a verdict too many")
	}
}

// Whatever is taken lies inside the frame, and built anew is taken again.
func FuzzParse(f *testing.F) {
	for _, flow := range []*Flow{&flow4, &flow6} {
		for _, c := range []Checksum{Full, Partial} {
			f.Add(frameOf(f, flow, "hello", c))
			f.Add(frameOf(f, flow, "", c))
		}
	}
	f.Add(append(fromHex("020000000002 020000000001 0800 46b9 0025 0000 4000 40 11 b309 c0000201 c0000202 01010101"),
		fromHex("1151 c350 000d 635c 68656c6c6f 0000")...))
	f.Fuzz(func(t *testing.T, frame []byte) {
		var p Packet
		if Parse(frame, &p) != OK {
			return
		}
		payload := string(frame[p.Offset:][:p.Length])
		p.Verify(frame)
		if p.HopLimit == 0 {
			return // never built
		}
		again := frameOf(t, &p.Flow, payload, Full)
		var q Packet
		if v := Parse(again, &q); v != OK || q.Flow != p.Flow || string(again[q.Offset:][:q.Length]) != payload || q.Verify(again) != Correct {
			t.Errorf("%v, %+v became %+v", v, p, q)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, flow := range map[string]*Flow{"IPv4": &flow4, "IPv6": &flow6} {
		b.Run(name, func(b *testing.B) {
			frame := frameOf(b, flow, string(make([]byte, 1252)), Full)
			var p Packet
			for b.Loop() {
				if v := Parse(frame, &p); v != OK {
					b.Fatal(v)
				}
			}
		})
	}
}
