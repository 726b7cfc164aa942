// SPDX-License-Identifier: MIT

package cibir

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// long returns a long header with these connection IDs, and three bytes behind it.
func long(first byte, version string, destination, source []byte) []byte {
	return slices.Concat([]byte{first}, []byte(version), []byte{byte(len(destination))}, destination,
		[]byte{byte(len(source))}, source, []byte("end"))
}

// counting returns n bytes: from, from+1, ...
func counting(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

const (
	version1    = "\x00\x00\x00\x01"
	version2    = "\x6b\x33\x43\xcf"
	negotiation = "\x00\x00\x00\x00"
	unknown     = "\xff\xfe\xfd\xfc"
)

func TestFind(t *testing.T) {
	e := Encoding{Length: 2, SourceOffset: 3, DestinationOffset: 1}
	d8, s8 := counting(0x10, 8), counting(0x20, 8)
	initial := long(0xc3, version1, d8, s8)
	short := slices.Concat([]byte{0x41}, d8, []byte("payload"))
	for _, test := range []struct {
		name     string
		datagram []byte
		id       string // "": none
		verdict  Verdict
	}{
		{"long: in the source connection ID", initial, "2324", Found},
		{"short: in the destination connection ID", short, "1112", Found},
		{"version 2", long(0xd3, version2, d8, s8), "2324", Found},
		{"version negotiation", long(0x80, negotiation, d8, s8), "2324", Found},
		{"unknown version", long(0xff, unknown, d8, s8), "2324", Found},
		{"long, fixed bit clear", long(0x80, version1, d8, s8), "2324", Found},
		{"short, fixed bit clear", slices.Concat([]byte{0}, d8), "1112", Found},
		{"short, every other bit set", slices.Concat([]byte{0x7f}, d8), "1112", Found},
		{"no destination connection ID", long(0xc0, version1, nil, s8), "2324", Found},
		{"longest connection IDs", long(0xc0, version1, counting(0, 255), counting(1, 255)), "0405", Found},
		{"source connection ID ends with the identifier", long(0xc0, version1, d8, s8[:5]), "2324", Found},
		{"datagram ends with the source connection ID", initial[:6+8+1+8], "2324", Found},
		{"datagram ends with the identifier, short", short[:4], "1112", Found},

		{"source connection ID a byte too short", long(0xc0, version1, d8, s8[:4]), "", NoIdentifier},
		{"no source connection ID", long(0xc0, version1, d8, nil), "", NoIdentifier},

		{"empty", nil, "", TooShort},
		{"first byte only, long", initial[:1], "", TooShort},
		{"first byte only, short", short[:1], "", TooShort},
		{"within the version", initial[:4], "", TooShort},
		{"before the length of the destination connection ID", initial[:5], "", TooShort},
		{"behind it", initial[:6], "", TooShort},
		{"within the destination connection ID", initial[:6+7], "", TooShort},
		{"before the length of the source connection ID", initial[:6+8], "", TooShort},
		{"behind it", initial[:6+8+1], "", TooShort},
		{"within the identifier", initial[:6+8+1+4], "", TooShort},
		{"behind it, within the source connection ID", initial[:6+8+1+7], "", TooShort},
		{"within a source connection ID that has none", long(0xc0, version1, d8, s8[:4])[:6+8+1+3], "", TooShort},
		{"within the identifier, short", short[:3], "", TooShort},
	} {
		id, verdict := e.Find(test.datagram)
		if id.String() != test.id || verdict != test.verdict {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, id, verdict, test.id, test.verdict)
		}
	}
}

// MsQuic on Linux: no server ID, two bytes of partition, then the identifier.
func TestFindWhereMsQuicPutsIt(t *testing.T) {
	e := Encoding{Length: 4, SourceOffset: 2, DestinationOffset: 2}
	cid := []byte{0x00, 0x01, 4, 3, 2, 1, 0xaa, 0xbb, 0xcc}
	for name, datagram := range map[string][]byte{
		"Initial": long(0xc0, version1, counting(9, 8), cid),
		"1-RTT":   slices.Concat([]byte{0x40}, cid, []byte("payload")),
	} {
		if id, verdict := e.Find(datagram); id.String() != "04030201" || verdict != Found {
			t.Errorf("%s: %v, %v", name, id, verdict)
		}
	}
}

func TestInvalidEncodingFindsNothing(t *testing.T) {
	for _, e := range []Encoding{{}, {21, 0, 0}, {255, 255, 255}, {1, 255, 0}, {1, 0, 255}} {
		for _, datagram := range [][]byte{nil, make([]byte, 600), long(0xc0, version1, nil, counting(0, 255))} {
			if id, verdict := e.Find(datagram); id != (ID{}) || verdict != NoIdentifier {
				t.Errorf("%v: %v, %v", e, id, verdict)
			}
		}
	}
}

// What was put into a datagram is found, at every length and offset; a byte less
// of the datagram or the connection ID is the right one of the two misses.
func TestFindWhatWasPutThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEncoding(t)
		id, _ := NewID(rapid.SliceOfN(rapid.Byte(), int(e.Length), int(e.Length)).Draw(t, "id"))
		first := rapid.Byte().Draw(t, "first byte")
		rest := rapid.SliceOfN(rapid.Byte(), 0, 8)

		if first&longHeader == 0 {
			datagram := slices.Concat([]byte{first}, make([]byte, e.DestinationOffset), id.Bytes())
			want(t, e, append(datagram, rest.Draw(t, "rest")...), id, Found)
			want(t, e, datagram[:len(datagram)-1], ID{}, TooShort)
			return
		}
		before := slices.Concat(make([]byte, e.SourceOffset), id.Bytes())
		source := slices.Concat(before, rest.Draw(t, "more of the connection ID"))
		if len(source) > maxConnectionID {
			source = source[:maxConnectionID]
		}
		destination := rapid.SliceOfN(rapid.Byte(), 0, maxConnectionID).Draw(t, "destination")
		datagram := long(first, unknown, destination, source)
		want(t, e, datagram, id, Found)
		end := len(datagram) - len("end")
		want(t, e, datagram[:end], id, Found)
		want(t, e, datagram[:rapid.IntRange(0, end-1).Draw(t, "cut")], ID{}, TooShort)
		want(t, e, long(first, unknown, destination, before[:len(before)-1]), ID{}, NoIdentifier)
	})
}

func want(t *rapid.T, e Encoding, datagram []byte, id ID, verdict Verdict) {
	t.Helper()
	if carries := e.Carries(datagram, &id); e.Validate() == nil && carries != (verdict == Found) {
		t.Errorf("%v in %x: carried: %v, with verdict %v", e, datagram, carries, verdict)
	}
	if got, v := e.Find(datagram); got != id || v != verdict {
		t.Fatalf("%v in %x: %v, %v; want %v, %v", e, datagram, got, v, id, verdict)
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte{}, uint8(2), uint8(3), uint8(1))
	f.Add(long(0xc3, version1, counting(0, 8), counting(9, 8)), uint8(2), uint8(3), uint8(1))
	f.Add(slices.Concat([]byte{0x41}, counting(0, 20)), uint8(6), uint8(2), uint8(2))
	f.Add(long(0x80, negotiation, nil, nil), uint8(1), uint8(0), uint8(0))
	f.Add([]byte{0xc0, 0, 0, 0, 1, 255, 255, 255}, uint8(20), uint8(235), uint8(235))
	f.Fuzz(func(t *testing.T, datagram []byte, length, source, destination uint8) {
		e := Encoding{length, source, destination}
		before := slices.Clone(datagram)
		id, verdict := e.Find(datagram)
		if !bytes.Equal(before, datagram) {
			t.Error("changed the datagram")
		}
		if (id != ID{}) != (verdict == Found) || verdict > NoIdentifier {
			t.Errorf("%v with %v", id, verdict)
		}
		if verdict != Found {
			return
		}
		other, _ := NewID(bytes.Repeat([]byte{^id.Bytes()[0]}, id.Len()))
		if !e.Carries(datagram, &id) || e.Carries(datagram, &other) {
			t.Errorf("%x does not carry %v, or carries %v", datagram, id, other)
		}
		if id.Len() != int(length) || !bytes.Contains(datagram, id.Bytes()) {
			t.Errorf("%v is not in %x", id, datagram)
		}
		// More behind it changes nothing.
		if again, verdict := e.Find(append(before, 0, 0, 0)); again != id || verdict != Found {
			t.Errorf("%v, and with three bytes more %v, %v", id, again, verdict)
		}
	})
}

func TestVerdictsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for v := Found; v <= NoIdentifier+1; v++ {
		if name := v.String(); name == "" || seen[name] {
			t.Errorf("%d is %q", v, name)
		} else {
			seen[name] = true
		}
	}
}

func BenchmarkFind(b *testing.B) {
	e := Encoding{Length: 4, SourceOffset: 2, DestinationOffset: 2}
	for name, datagram := range map[string][]byte{
		"long":  long(0xc0, version1, counting(9, 8), counting(0, 9)),
		"short": slices.Concat([]byte{0x40}, counting(0, 20)),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, verdict := e.Find(datagram); verdict != Found {
					b.Fatal(verdict)
				}
			}
		})
	}
}
