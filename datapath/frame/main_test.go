// SPDX-License-Identifier: MIT

package frame

import (
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// flow4 and flow6 are flows between documentation addresses.
var (
	flow4 = Flow{
		SourceMAC: MAC{2, 0, 0, 0, 0, 1}, DestinationMAC: MAC{2, 0, 0, 0, 0, 2},
		Source: From4([4]byte{192, 0, 2, 1}), Destination: From4([4]byte{192, 0, 2, 2}),
		SourcePort: 4433, DestinationPort: 50000, TrafficClass: 0xb9, HopLimit: 64,
	}
	flow6 = Flow{
		SourceMAC: MAC{2, 0, 0, 0, 0, 1}, DestinationMAC: MAC{2, 0, 0, 0, 0, 2},
		Source: IP{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 15: 1}, Destination: IP{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 15: 2},
		SourcePort: 4433, DestinationPort: 50000, TrafficClass: 0xb9, HopLimit: 64,
	}
)

// frameOf builds the frame of one datagram.
func frameOf(t testing.TB, f *Flow, payload string, c Checksum) []byte {
	t.Helper()
	var h Headers
	if err := h.Set(f); err != nil {
		t.Fatal(err)
	}
	frame := append(make([]byte, h.Len()), payload...)
	if err := h.Put(frame, c); err != nil {
		t.Fatal(err)
	}
	return frame
}

// fromHex reads hexadecimal digits with blanks between them.
func fromHex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// anyFlow draws a flow that Parse takes.
func anyFlow(t *rapid.T) Flow {
	anyBytes := func(label string, n int) []byte { return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, label) }
	address := func(label string) IP { return From4([4]byte(anyBytes(label, 4))) }
	if rapid.Bool().Draw(t, "IPv6") {
		address = func(label string) IP {
			ip := IP(anyBytes(label, 16))
			ip[0] |= 0x20 // neither mapped nor reserved
			return ip
		}
	}
	f := Flow{
		SourceMAC:       MAC(anyBytes("source MAC", 6)),
		DestinationMAC:  MAC(anyBytes("destination MAC", 6)),
		Source:          address("source"),
		Destination:     address("destination"),
		SourcePort:      rapid.Uint16().Draw(t, "source port"),
		DestinationPort: rapid.Uint16().Draw(t, "destination port"),
		TrafficClass:    rapid.Byte().Draw(t, "class"),
		HopLimit:        rapid.ByteMin(1).Draw(t, "hop limit"),
	}
	if f.Source.Is4() && martian4([4]byte(f.Source[12:])) || !f.Source.Is4() && martian6(&f.Source) {
		t.Skip("a source that Parse refuses")
	}
	return f
}
