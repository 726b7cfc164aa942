// SPDX-License-Identifier: MIT

package frame

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// anyFlow draws a flow that Parse takes.
func anyFlow(t *rapid.T) Flow {
	f := Flow{
		SourceMAC:       MAC(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "source MAC")),
		DestinationMAC:  MAC(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "destination MAC")),
		SourcePort:      rapid.Uint16().Draw(t, "source port"),
		DestinationPort: rapid.Uint16().Draw(t, "destination port"),
		TrafficClass:    rapid.Byte().Draw(t, "class"),
		HopLimit:        rapid.ByteMin(1).Draw(t, "hop limit"),
	}
	size := rapid.SampledFrom([]int{4, 16}).Draw(t, "address size")
	address := func(name string) IP {
		b := rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, name)
		if size == 4 {
			return From4([4]byte(b))
		}
		return IP(b)
	}
	f.Source = rapid.Custom(func(*rapid.T) IP { return address("source") }).
		Filter(func(ip IP) bool { return !ip.martian() }).Draw(t, "source")
	f.Destination = address("destination")
	return f
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyFlow(t)
		payload := rapid.SliceOfN(rapid.Byte(), 0, 1500).Draw(t, "payload")
		var h Headers
		if err := h.Set(&want); err != nil {
			t.Fatal(err)
		}
		b := append(make([]byte, h.Len()), payload...)
		padding := rapid.IntRange(0, 20).Draw(t, "padding")
		for c, integrity := range map[Checksum]Integrity{Full: Correct, Partial: Unfinished} {
			if err := h.Put(b, c); err != nil {
				t.Fatal(err)
			}
			padded := append(bytes.Clone(b), make([]byte, padding)...)
			var got Packet
			if v := Parse(padded, &got); v != OK {
				t.Fatalf("refused: %v", v)
			}
			if got.Flow != want || !bytes.Equal(padded[got.Offset:][:got.Length], payload) {
				t.Fatalf("got %+v", got)
			}
			if v := got.Verify(padded); v != integrity && !(c == Partial && v == Correct) {
				t.Fatalf("checksum %d: %v", c, v)
			}
		}
	})
}
