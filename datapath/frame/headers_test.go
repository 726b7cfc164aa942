// SPDX-License-Identifier: MIT

package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// Sums and label were worked out apart from this code.
func TestPutKnown(t *testing.T) {
	for _, test := range []struct {
		name string
		flow *Flow
		c    Checksum
		want string
	}{
		{"IPv4", &flow4, Full, `
			020000000002 020000000001 0800
			45 b9 0021 0000 4000 40 11 b60f c0000201 c0000202
			1151 c350 000d 635c 68656c6c6f`},
		{"IPv4 partial", &flow4, Partial, `
			020000000002 020000000001 0800
			45 b9 0021 0000 4000 40 11 b60f c0000201 c0000202
			1151 c350 000d 8422 68656c6c6f`},
		{"IPv6", &flow6, Full, `
			020000000002 020000000001 86dd
			6b9 f7d6d 000d 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002
			1151 c350 000d 8beb 68656c6c6f`},
		{"IPv6 partial", &flow6, Partial, `
			020000000002 020000000001 86dd
			6b9 f7d6d 000d 11 40 20010db8000000000000000000000001 20010db8000000000000000000000002
			1151 c350 000d 5b93 68656c6c6f`},
	} {
		if got := frameOf(t, test.flow, "hello", test.c); !bytes.Equal(got, fromHex(test.want)) {
			t.Errorf("%s:\n%x\n%x", test.name, got, fromHex(test.want))
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyFlow(t)
		var h Headers
		if err := h.Set(&want); err != nil {
			t.Fatal(err)
		}
		payload := rapid.SliceOfN(rapid.Byte(), 0, 1500).Draw(t, "payload")
		padding := rapid.IntRange(0, 20).Draw(t, "padding")
		for _, c := range []Checksum{Full, Partial} {
			frame := append(make([]byte, h.Len()), payload...)
			if err := h.Put(frame, c); err != nil {
				t.Fatal(err)
			}
			frame = append(frame, make([]byte, padding)...)
			var got Packet
			if v := Parse(frame, &got); v != OK {
				t.Fatalf("refused: %v", v)
			}
			if got.Flow != want || !bytes.Equal(frame[got.Offset:][:got.Length], payload) {
				t.Fatalf("got %+v", got)
			}
		}
	})
}

// What was in the room before must not matter, nor which flow came before.
func TestSetAndPutLeaveNothingBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFlow(t)
		var fresh, used Headers
		other := anyFlow(t)
		if err := errors.Join(used.Set(&other), used.Set(&f), fresh.Set(&f)); err != nil {
			t.Fatal(err)
		}
		a, b := make([]byte, fresh.Len()+5), bytes.Repeat([]byte{0xff}, fresh.Len()+5)
		copy(a[fresh.Len():], "hello")
		copy(b[fresh.Len():], "hello")
		if err := errors.Join(fresh.Put(a, Full), used.Put(b, Full)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Fatalf("\n%x\n%x", a, b)
		}
	})
}

func TestSetRefusesMixedFamilies(t *testing.T) {
	var h Headers
	for _, f := range []Flow{{Source: flow4.Source, Destination: flow6.Destination}, {Source: flow6.Source, Destination: flow4.Destination}} {
		if err := h.Set(&f); err != ErrFamily {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestPutLimits(t *testing.T) {
	for _, test := range []struct {
		name string
		flow *Flow
		most int // bytes of payload
	}{{"IPv4", &flow4, 65507}, {"IPv6", &flow6, 65527}} {
		var h Headers
		if err := h.Set(test.flow); err != nil {
			t.Fatal(err)
		}
		frame := make([]byte, h.Len()+test.most+1)
		for n, want := range map[int]error{
			0: ErrLength, h.Len() - 1: ErrLength, len(frame): ErrLength,
			h.Len(): nil, len(frame) - 1: nil,
		} {
			if err := h.Put(frame[:n], Full); err != want {
				t.Errorf("%s: frame of %d bytes: %v, want %v", test.name, n, err, want)
			}
		}
	}
}

func TestDefaultHopLimit(t *testing.T) {
	for _, flow := range []Flow{flow4, flow6} {
		flow.HopLimit = 0
		var p Packet
		if v := Parse(frameOf(t, &flow, "", Full), &p); v != OK || p.HopLimit != DefaultHopLimit {
			t.Errorf("%v, hop limit %d", v, p.HopLimit)
		}
	}
}

// A checksum that comes out as 0 is sent as ffff.
func TestChecksumIsNeverZero(t *testing.T) {
	for _, flow := range []*Flow{&flow4, &flow6} {
		var h Headers
		if err := h.Set(flow); err != nil {
			t.Fatal(err)
		}
		field := h.ChecksumStart() + ChecksumOffset
		frame := frameOf(t, flow, "\x00\x00", Full)
		copy(frame[h.Len():], frame[field:][:2]) // now all words add up to ffff
		if err := h.Put(frame, Full); err != nil {
			t.Fatal(err)
		}
		if got := binary.BigEndian.Uint16(frame[field:]); got != 0xffff {
			t.Errorf("checksum %#04x", got)
		}
		var p Packet
		if v := Parse(frame, &p); v != OK || p.Verify(frame) != Correct {
			t.Errorf("%v, %v", v, p.Verify(frame))
		}
	}
}

func TestPutAllocatesNothing(t *testing.T) {
	frame := make([]byte, 1294)
	var h Headers
	var p Packet
	for _, flow := range []*Flow{&flow4, &flow6} {
		if n := testing.AllocsPerRun(100, func() {
			if h.Set(flow) != nil || h.Put(frame, Partial) != nil || h.Put(frame, Full) != nil || Parse(frame, &p) != OK || p.Verify(frame) != Correct {
				t.Fail()
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	for name, flow := range map[string]*Flow{"IPv4": &flow4, "IPv6": &flow6} {
		b.Run(name, func(b *testing.B) {
			var h Headers
			for b.Loop() {
				if err := h.Set(flow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	for name, flow := range map[string]*Flow{"IPv4": &flow4, "IPv6": &flow6} {
		for how, c := range map[string]Checksum{"partial": Partial, "full": Full} {
			b.Run(name+"/"+how, func(b *testing.B) {
				var h Headers
				if err := h.Set(flow); err != nil {
					b.Fatal(err)
				}
				frame := make([]byte, 1294)
				for b.Loop() {
					if err := h.Put(frame, c); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
