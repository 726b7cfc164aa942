// SPDX-License-Identifier: MIT

package route

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// attr builds an attribute; size is what its header says.
func attr(size, kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, size)
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, value...)
}

func TestAttributes(t *testing.T) {
	padded := attr(5, 1, 0xaa, 0, 0, 0)
	for _, test := range []struct {
		name string
		in   []byte
		want []uint16 // types
	}{
		{"empty", nil, nil},
		{"two, padding between", append(padded, attr(4, 2)...), []uint16{1, 2}},
		{"flags are no part of the type", attr(4, 0xc003), []uint16{3}},
		{"last one without padding", attr(5, 1, 0xaa), []uint16{1}},
		{"too long", append(attr(4, 2), attr(9, 1, 0xaa)...), []uint16{2}},
		{"shorter than its header", append(attr(4, 2), attr(3, 1)...), []uint16{2}},
		{"zero length", attr(0, 1), nil},
		{"cut in the header", append(attr(4, 2), 4, 0, 1), []uint16{2}},
	} {
		var got []uint16
		for kind := range attributes(test.in) {
			got = append(got, kind)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: types %v, want %v", test.name, got, test.want)
		}
	}
}

func TestAttributeValues(t *testing.T) {
	if got := u32([]byte{1, 2, 3}); got != 0 {
		t.Errorf("u32 of three bytes is %d", got)
	}
	for _, b := range [][]byte{nil, make([]byte, 3), make([]byte, 17)} {
		if a := addr(b); a.IsValid() {
			t.Errorf("%d bytes became the address %v", len(b), a)
		}
	}
	if a := viaAddr([]byte{unix.AF_INET, 0, 192, 0, 2, 1}); a != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("via is %v", a)
	}
	if a := viaAddr([]byte{1}); a.IsValid() {
		t.Errorf("a via that is cut short became %v", a)
	}
}

// No message may bring down the process that hosts us.
func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	header := make([]byte, unix.SizeofIfInfomsg)
	header[0] = unix.AF_INET
	header[7] = unix.RTN_UNICAST
	for kind := range uint16(32) {
		f.Add(append(slices.Clone(header[:unix.SizeofRtMsg]), attr(8, kind, 1, 2, 3, 4)...))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		parseLink(msg)
		parsePath(msg)
		parseObject(msg)
		if a, ok := parseAddress(msg); ok && (!a.ip.IsValid() || a.ip.Is4In6()) {
			t.Errorf("address %v", a.ip)
		}
		r, _ := parseDefaultRoute(msg, unix.AF_INET)
		for _, g := range r.gateways() {
			if !g.Addr.IsValid() {
				t.Errorf("gateway %+v", g)
			}
		}
	})
}
