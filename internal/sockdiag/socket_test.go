// SPDX-License-Identifier: MIT

package sockdiag

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// message encodes an answer as the kernel does.
func message(s Socket) []byte {
	b := make([]byte, messageSize)
	b[offFamily] = unix.AF_INET6
	if s.V4 {
		b[offFamily] = unix.AF_INET
	}
	copy(b[offSource:], s.Local.Addr().AsSlice())
	copy(b[offDest:], s.Remote.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[offPorts:], s.Local.Port())
	binary.BigEndian.PutUint16(b[offPorts+2:], s.Remote.Port())
	for off, v := range map[int]uint32{
		offInterface: s.Device, offUID: s.UID, offInode: s.Inode,
		offCookie: uint32(s.Cookie), offCookie + 4: uint32(s.Cookie >> 32),
	} {
		binary.NativeEndian.PutUint32(b[off:], v)
	}
	if s.V6Only {
		b = append(b, attr(attrV6Only, 1)...)
	}
	return b
}

// attr encodes a netlink attribute, padded.
func attr(kind uint16, data ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(data)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, data...)
	return append(b, make([]byte, -len(b)&3)...)
}

var samples = []Socket{
	{Local: netip.MustParseAddrPort("[::]:4433"), Remote: netip.MustParseAddrPort("[::]:0"), UID: 1000, Inode: 77, Cookie: 1<<32 | 2},
	{Local: netip.MustParseAddrPort("[::ffff:10.0.0.1]:1"), Remote: netip.MustParseAddrPort("[2001:db8::1]:65535"), Device: 3, V6Only: true, UID: ^uint32(0)},
	{V4: true, Local: netip.MustParseAddrPort("127.0.0.1:65535"), Remote: netip.MustParseAddrPort("0.0.0.0:0"), Cookie: ^uint64(0)},
}

func TestParse(t *testing.T) {
	for _, want := range samples {
		got, err := parse(message(want))
		if err != nil || got != want {
			t.Errorf("parsed as %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	whole := message(samples[0])
	for n := range messageSize {
		if _, err := parse(whole[:n]); err == nil {
			t.Errorf("took an answer of %d bytes", n)
		}
	}
	whole[offFamily] = unix.AF_UNIX
	if _, err := parse(whole); err == nil {
		t.Error("took an answer of family AF_UNIX")
	}
}

func TestAttribute(t *testing.T) {
	other, only := attr(8, 1, 2, 3), attr(attrV6Only, 1)
	for _, test := range []struct {
		name string
		data []byte
		want []byte
		ok   bool
	}{
		{"alone", only, []byte{1}, true},
		{"behind another", slices.Concat(other, only), []byte{1}, true},
		{"without padding", only[:5], []byte{1}, true},
		{"empty", attr(attrV6Only), []byte{}, true},
		{"absent", other, nil, false},
		{"nothing", nil, nil, false},
		{"cut short", only[:4], nil, false},
		{"shorter than its header", slices.Concat([]byte{3, 0, 0, 0}, only), nil, false},
		{"longer than the rest", slices.Concat([]byte{255, 255, 8, 0}, only), nil, false},
	} {
		got, ok := attribute(test.data, attrV6Only)
		if !slices.Equal(got, test.want) || ok != test.ok {
			t.Errorf("%s: %v, %v; want %v, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range samples {
		f.Add(message(s))
	}
	f.Add(slices.Concat(message(samples[0]), attr(8, 0), attr(attrV6Only, 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parse(b)
		if err != nil {
			if s != (Socket{}) {
				t.Errorf("a socket beside the error %v: %+v", err, s)
			}
			return
		}
		if again, err := parse(message(s)); err != nil || again != s {
			t.Errorf("%+v becomes %+v, %v", s, again, err)
		}
	})
}
