// SPDX-License-Identifier: MIT

package batch

import (
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestAddrFrom(t *testing.T) {
	for _, test := range []struct {
		text string
		want Addr
	}{
		{"192.0.2.1:4433", Addr{Family: unix.AF_INET, Port: [2]byte{0x11, 0x51}, V4: [4]byte{192, 0, 2, 1}}},
		{"0.0.0.0:0", Addr{Family: unix.AF_INET}},
		{"[::]:1", Addr{Family: unix.AF_INET6, Port: [2]byte{0, 1}}},
		{"[2001:db8::1]:65535", Addr{Family: unix.AF_INET6, Port: [2]byte{255, 255}, V6: [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}}},
		{"[::ffff:10.0.0.1]:256", Addr{Family: unix.AF_INET6, Port: [2]byte{1, 0}, V6: [16]byte{10: 0xff, 0xff, 10, 0, 0, 1}}},
	} {
		if got := AddrFrom(netip.MustParseAddrPort(test.text)); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.text, got, test.want)
		}
	}
}

func TestInvalidAddressBecomesTheZeroAddr(t *testing.T) {
	for _, ap := range []netip.AddrPort{{}, netip.AddrPortFrom(netip.Addr{}, 443)} {
		if got := AddrFrom(ap); got != (Addr{}) {
			t.Errorf("%v: %+v", ap, got)
		}
	}
}

func TestUnknownFamilyGivesAnInvalidAddress(t *testing.T) {
	for _, family := range []uint16{unix.AF_UNSPEC, unix.AF_UNIX, 0xffff} {
		a := Addr{Family: family, Port: [2]byte{1, 2}, V4: [4]byte{1, 2, 3, 4}, V6: [16]byte{1}}
		if ip := a.IP(); ip.IsValid() {
			t.Errorf("family %d: %v", family, ip)
		}
		if ap := a.AddrPort(); ap.IsValid() || ap.Port() != 0x0102 {
			t.Errorf("family %d: %v", family, ap)
		}
	}
}

// QUIC_ADDR holds what the kernel calls sockaddr_in and sockaddr_in6.
func TestAddrIsASockaddr(t *testing.T) {
	if size := unsafe.Sizeof(Addr{}); size != unix.SizeofSockaddrInet6 {
		t.Fatalf("%d bytes, want %d", size, unix.SizeofSockaddrInet6)
	}
	v4 := Addr{Family: unix.AF_INET, Port: [2]byte{0x11, 0x51}, V4: [4]byte{192, 0, 2, 1}}
	p, n := v4.Sockaddr()
	in4 := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 0x5111, Addr: v4.V4}
	if got := *(*unix.RawSockaddrInet4)(p); n != unix.SizeofSockaddrInet4 || got != in4 {
		t.Errorf("IPv4: %d bytes, %+v; want %+v", n, got, in4)
	}
	v6 := Addr{Family: unix.AF_INET6, Port: [2]byte{0x11, 0x51}, V4: [4]byte{4, 3, 2, 1}, V6: [16]byte{0xfe, 0x80, 15: 9}, Scope: 7}
	p, n = v6.Sockaddr()
	in6 := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: 0x5111, Flowinfo: 0x01020304, Addr: v6.V6, Scope_id: 7}
	if got := *(*unix.RawSockaddrInet6)(p); n != unix.SizeofSockaddrInet6 || got != in6 {
		t.Errorf("IPv6: %d bytes, %+v; want %+v", n, got, in6)
	}
}

func TestIsMapped(t *testing.T) {
	for _, test := range []struct {
		name string
		a    Addr
		want bool
	}{
		{"mapped", addr("[::ffff:1.2.3.4]:1"), true},
		{"mapped wildcard", addr("[::ffff:0.0.0.0]:1"), true},
		{"IPv4", addr("1.2.3.4:1"), false},
		{"wildcard", addr("[::]:1"), false},
		{"compatible", addr("[::102:304]:1"), false},
		{"one bit off", addr("[::fffe:102:304]:1"), false},
		{"one bit off in front", addr("[8000::ffff:102:304]:1"), false},
		{"other family", Addr{Family: unix.AF_INET, V6: mapped([4]byte{1, 2, 3, 4})}, false},
	} {
		if got := test.a.IsMapped(); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// The bytes that AF_INET does not use must not travel into the IPv6 address.
func TestMapTakesOnlyWhatIPv4Has(t *testing.T) {
	a := Addr{Family: unix.AF_INET, Port: [2]byte{1, 2}, V4: [4]byte{1, 2, 3, 4}, V6: [16]byte{5, 6, 7}, Scope: 8}
	a.Map()
	if want := (Addr{Family: unix.AF_INET6, Port: [2]byte{1, 2}, V6: mapped([4]byte{1, 2, 3, 4})}); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
}

func TestUnmapKeepsTheInterface(t *testing.T) {
	a := addr("[::ffff:1.2.3.4]:258")
	a.V4, a.Scope = [4]byte{9, 9, 9, 9}, 8
	a.Unmap()
	if want := (Addr{Family: unix.AF_INET, Port: [2]byte{1, 2}, V4: [4]byte{1, 2, 3, 4}, Scope: 8}); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
}

func TestMapAndUnmapLeaveOtherFamiliesAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAddr.Draw(t, "a")
		before := a
		if a.Map(); before.Family != unix.AF_INET && a != before {
			t.Errorf("Map made %+v of %+v", a, before)
		}
		a = before
		if a.Unmap(); !before.IsMapped() && a != before {
			t.Errorf("Unmap made %+v of %+v", a, before)
		}
	})
}

func TestMapAndUnmapAreReverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := AddrFrom(anyIPv4.Draw(t, "ipv4"))
		a := want
		a.Map()
		if !a.IsMapped() || a.AddrPort().Addr().Unmap() != want.IP() {
			t.Fatalf("%v maps to %v", want.AddrPort(), a.AddrPort())
		}
		if a.Unmap(); a != want {
			t.Fatalf("%+v after Map and Unmap: %+v", want, a)
		}
	})
}

func TestAddrPortRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ap := rapid.OneOf(anyIPv4, anyIPv6).Draw(t, "address")
		a := AddrFrom(ap)
		if got := a.AddrPort(); got != ap || a.IP() != ap.Addr() || a.PortNumber() != ap.Port() {
			t.Errorf("%v came back as %v", ap, got)
		}
	})
}

func TestSameHostPort(t *testing.T) {
	v4, v6 := addr("1.2.3.4:5"), addr("[2001:db8::1]:5")
	with := func(a Addr, change func(*Addr)) Addr { change(&a); return a }
	for _, test := range []struct {
		name string
		a, b Addr
		want bool
	}{
		{"equal IPv4", v4, v4, true},
		{"equal IPv6", v6, v6, true},
		{"other port", v4, addr("1.2.3.4:6"), false},
		{"other port, IPv6", v6, addr("[2001:db8::1]:6"), false},
		{"other host", v4, addr("1.2.3.5:5"), false},
		{"other host, IPv6", v6, addr("[2001:db8::2]:5"), false},
		{"mapped is another family", v4, addr("[::ffff:1.2.3.4]:5"), false},
		{"what IPv4 does not use", v4, with(v4, func(a *Addr) { a.V6[3], a.Scope = 1, 2 }), true},
		{"flow label and scope", v6, with(v6, func(a *Addr) { a.V4[3], a.Scope = 1, 2 }), true},
	} {
		if got, back := test.a.SameHostPort(&test.b), test.b.SameHostPort(&test.a); got != test.want || back != test.want {
			t.Errorf("%s: %v, and the other way round %v", test.name, got, back)
		}
	}
}

// Same host and port means: what netip makes of both is equal.
func TestSameHostPortAgreesWithNetip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := AddrFrom(rapid.OneOf(anyIPv4, anyIPv6).Draw(t, "address"))
		b := a
		raw := (*[unsafe.Sizeof(b)]byte)(unsafe.Pointer(&b))
		raw[rapid.IntRange(2, len(raw)-1).Draw(t, "byte")] ^= rapid.Byte().Draw(t, "bits")
		if want := a.AddrPort() == b.AddrPort(); a.SameHostPort(&b) != want {
			t.Errorf("%+v and %+v: want %v", a, b, want)
		}
	})
}

func addr(text string) Addr { return AddrFrom(netip.MustParseAddrPort(text)) }

var (
	anyIPv4 = rapid.Custom(func(t *rapid.T) netip.AddrPort {
		ip := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip"))
		return netip.AddrPortFrom(netip.AddrFrom4(ip), rapid.Uint16().Draw(t, "port"))
	})
	anyIPv6 = rapid.Custom(func(t *rapid.T) netip.AddrPort {
		ip := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip"))
		if rapid.Bool().Draw(t, "mapped") {
			ip = mapped([4]byte(ip[12:]))
		}
		return netip.AddrPortFrom(netip.AddrFrom16(ip), rapid.Uint16().Draw(t, "port"))
	})
	anyAddr = rapid.Custom(func(t *rapid.T) Addr {
		a := Addr{
			Family: rapid.SampledFrom([]uint16{unix.AF_UNSPEC, unix.AF_INET, unix.AF_INET6, 99}).Draw(t, "family"),
			Port:   [2]byte(rapid.SliceOfN(rapid.Byte(), 2, 2).Draw(t, "port")),
			V4:     [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4")),
			V6:     [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6")),
			Scope:  rapid.Uint32().Draw(t, "scope"),
		}
		if rapid.Bool().Draw(t, "mapped") {
			a.V6 = mapped(a.V4)
		}
		return a
	})
)

func TestSetSource(t *testing.T) {
	source := netip.MustParseAddr("10.0.0.1")
	for _, test := range []struct{ local, want string }{
		{"", "10.0.0.1:0"},
		{"0.0.0.0:443", "10.0.0.1:443"},
		{"[::]:443", "10.0.0.1:443"},
		{"10.0.0.9:443", "10.0.0.9:443"},
	} {
		var o Open
		if test.local != "" {
			o.Local, o.HasLocal = AddrFrom(netip.MustParseAddrPort(test.local)), true
		}
		o.SetSource(source)
		if got := o.Local.AddrPort().String(); got != test.want || !o.HasLocal {
			t.Errorf("with %q: %s, want %s", test.local, got, test.want)
		}
	}
}
