// SPDX-License-Identifier: MIT

package portres

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Other versions, and programs in other languages, rely on these numbers.
func TestLayout(t *testing.T) {
	id := func(b ...byte) cibir.ID {
		id, err := cibir.NewID(b)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for _, test := range []struct {
		what      string
		got, want int64
	}{
		{"gate", gateAt, 0x100_0000_0000},
		{"slot", slotAt + 4095, 0x1000_0000_0fff},
		{"exclusive claim", holding{version: Version, uid: 1000}.claimByte(), 0x2100_0000_0000_03e8},
		{"shared claim", holding{version: 2, encoding: cibir.Encoding{Length: 2, SourceOffset: 9, DestinationOffset: 8}, uid: 1<<32 - 2}.claimByte(), 0x2202_0908_ffff_fffe},
		{"identifier", identifierByte(id(0x0a, 0x0b), 5), 0x4000_0000_00a0_b005},
		{"longest of MsQuic's", identifierByte(id(1, 2, 3, 4, 5, 6), 4095), 0x4010_2030_4050_6fff},
		{"longer", identifierByte(id(1, 2, 3, 4, 5, 6, 7), 0), 0x432b_be37_8a25_0000},
	} {
		if test.got != test.want {
			t.Errorf("%s: %#x, want %#x", test.what, test.got, test.want)
		}
	}
}

// No two identifiers of one length have one byte, whatever their slots.
func TestIdentifierBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, cibir.MaxIDLength).Draw(t, "length")
		draw := func(name string) cibir.ID {
			id, err := cibir.NewID(rapid.SliceOfN(rapid.Byte(), length, length).Draw(t, name))
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		a, b, slot := draw("a"), draw("b"), uint32(rapid.IntRange(0, Slots-1).Draw(t, "slot"))
		at := identifierByte(a, slot)
		if at < identifierAt || at >= identifierAt+identifierBytes {
			t.Errorf("%v is at %#x", a, at)
		}
		if distance := at - identifierByte(b, 0); (distance >= 0 && distance < Slots) != (a == b) {
			t.Errorf("%v and %v are %d apart", a, b, distance)
		}
		want := a
		if length > cibir.MaxMsQuicLength {
			want = cibir.ID{}
		}
		if got, s := memberAt(at, uint8(length)); got != want || s != slot {
			t.Errorf("%v with slot %d is at %#x, where %v is with slot %d", a, slot, at, got, s)
		}
	})
}

func TestClaimBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := holding{version: rapid.IntRange(1, 31).Draw(t, "version"), exclusive: rapid.Bool().Draw(t, "exclusive"), uid: rapid.Uint32().Draw(t, "uid"),
			encoding: cibir.Encoding{Length: rapid.Byte().Draw(t, "length"), SourceOffset: rapid.Byte().Draw(t, "source"), DestinationOffset: rapid.Byte().Draw(t, "destination")}}
		if at := h.claimByte(); holdingAt(at, h.exclusive) != h || at < claimAt || at >= claimAt+claimBytes {
			t.Errorf("%+v is at %#x, which is %+v", h, at, holdingAt(at, h.exclusive))
		}
	})
}

func TestFileNames(t *testing.T) {
	for name, want := range map[string]struct {
		proto rules.Proto
		port  uint16
	}{"udp-4433": {rules.UDP, 4433}, "tcp-1": {rules.TCP, 1}, "udp-65535": {rules.UDP, 65535}} {
		if proto, port, ok := parseFileName(name); !ok || proto != want.proto || port != want.port || fileName(proto, port) != name {
			t.Errorf("%s is read as %v %d, %v", name, proto, port, ok)
		}
	}
	for _, name := range []string{"", "udp", "udp-", "udp-0", "udp-65536", "udp-04433", "udp-+1", "sctp-1", "UDP-1", "udp-1 ", "-1", "udp-1-2", "reserved-ports"} {
		if proto, port, ok := parseFileName(name); ok {
			t.Errorf("%q is read as %v %d", name, proto, port)
		}
	}
}

// A file of the state directory is a port's, or it is not, and a port has one file.
func FuzzFileName(f *testing.F) {
	for _, name := range []string{"udp-4433", "tcp-1", "udp-65536", "udp-04433", "udp-+1", "sctp-1", "reserved-ports"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		proto, port, ok := parseFileName(name)
		if ok != (fileName(proto, port) == name && port != 0) {
			t.Errorf("%q is read as %v %d, %v", name, proto, port, ok)
		}
	})
}
