// SPDX-License-Identifier: MIT

package frame

import (
	"testing"

	"pgregory.net/rapid"
)

func TestVerify(t *testing.T) {
	for _, test := range []struct {
		name string
		flow *Flow
		c    Checksum
		edit func(udp []byte)
		want Integrity
	}{
		{name: "full", flow: &flow4, c: Full, want: Correct},
		{name: "full, IPv6", flow: &flow6, c: Full, want: Correct},
		{name: "partial", flow: &flow4, c: Partial, want: Unfinished},
		{name: "partial, IPv6", flow: &flow6, c: Partial, want: Unfinished},
		{name: "none", flow: &flow4, edit: func(udp []byte) { udp[6], udp[7] = 0, 0 }, want: Absent},
		{name: "none, IPv6", flow: &flow6, edit: func(udp []byte) { udp[6], udp[7] = 0, 0 }, want: Wrong},
		{name: "payload", flow: &flow4, edit: func(udp []byte) { udp[8]++ }, want: Wrong},
		{name: "last byte", flow: &flow6, edit: func(udp []byte) { udp[12]++ }, want: Wrong},
		{name: "checksum", flow: &flow6, edit: func(udp []byte) { udp[6]++ }, want: Wrong},
		{name: "port", flow: &flow4, edit: func(udp []byte) { udp[0]++ }, want: Wrong},
	} {
		frame := frameOf(t, test.flow, "hello", test.c)
		if test.edit != nil {
			test.edit(frame[len(frame)-5-udpLen:])
		}
		var p Packet
		if v := Parse(frame, &p); v != OK {
			t.Fatalf("%s: refused: %v", test.name, v)
		}
		if got := p.Verify(frame); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestVerifyAgainstSlowReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFlow(t)
		var h Headers
		if err := h.Set(&f); err != nil {
			t.Fatal(err)
		}
		payload := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "payload")
		frame := append(make([]byte, h.Len()), payload...)
		if err := h.Put(frame, Full); err != nil {
			t.Fatal(err)
		}
		udp := frame[h.ChecksumStart():]
		if udp[ChecksumOffset] == 0 && udp[ChecksumOffset+1] == 0 {
			t.Fatal("checksum 0")
		}
		size := 16
		if f.Source.Is4() {
			size = 4
		}
		pseudo := []byte{0, 17, byte(len(udp) >> 8), byte(len(udp))}
		if got := slowSum(f.Source[16-size:], f.Destination[16-size:], pseudo, udp); got != 0xffff {
			t.Fatalf("sum %#04x", got)
		}
		if err := h.Put(frame, Partial); err != nil {
			t.Fatal(err)
		}
		udp[ChecksumOffset] ^= 0xff // a partial field is the sum itself
		udp[ChecksumOffset+1] ^= 0xff
		if got := slowSum(f.Source[16-size:], f.Destination[16-size:], pseudo, udp[ChecksumOffset:][:2]); got != 0xffff {
			t.Fatalf("partial sum %#04x", got)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	frame := frameOf(b, &flow6, string(make([]byte, 1232)), Full)
	var p Packet
	if v := Parse(frame, &p); v != OK {
		b.Fatal(v)
	}
	for b.Loop() {
		if p.Verify(frame) != Correct {
			b.Fatal("wrong")
		}
	}
}
