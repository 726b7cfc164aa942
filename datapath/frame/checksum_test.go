// SPDX-License-Identifier: MIT

package frame

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// slowSum is RFC 1071 word by word, in network byte order.
func slowSum(parts ...[]byte) uint16 {
	total := uint32(0)
	for _, b := range parts {
		for i, v := range b {
			if i%2 == 0 {
				total += uint32(v) << 8
			} else {
				total += uint32(v)
			}
			total = total>>16 + total&0xffff
		}
	}
	return uint16(total)
}

func TestSumAgainstSlowReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "a")
		a = a[:len(a)&^1] // only the last part may be odd
		word := rapid.Uint16().Draw(t, "word")
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xfe, 0xff}), 0, 200).Draw(t, "b")
		got := networkOrder(fold(sum(add(sum(0, a), word), b)))
		if want := slowSum(a, []byte{byte(word >> 8), byte(word)}, b); got != want {
			t.Fatalf("%#04x, want %#04x", got, want)
		}
	})
}

func TestSumOfEveryLength(t *testing.T) {
	b := make([]byte, 300)
	for i := range b {
		b[i] = byte(0xff - i*7)
	}
	for n := range b {
		if got, want := networkOrder(fold(sum(0, b[:n]))), slowSum(b[:n]); got != want {
			t.Errorf("%d bytes: %#04x, want %#04x", n, got, want)
		}
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[uint64]uint16{
		0: 0, 1: 1, 0xffff: 0xffff, 0x10000: 1, 0x1fffe: 0xffff,
		math.MaxUint32: 0xffff, 1 << 32: 1, math.MaxUint64: 0xffff, math.MaxUint64 - 1: 0xfffe,
	} {
		if got := fold(in); got != want {
			t.Errorf("fold(%#x) is %#04x, want %#04x", in, got, want)
		}
	}
}

func TestSumCarriesAround(t *testing.T) {
	ones := make([]byte, 64)
	for i := range ones {
		ones[i] = 0xff
	}
	if got := fold(sum(math.MaxUint64, ones)); got != 0xffff {
		t.Errorf("%#04x", got)
	}
	if got := fold(add(math.MaxUint64, 0xffff)); got != 0xffff {
		t.Errorf("%#04x", got)
	}
}
