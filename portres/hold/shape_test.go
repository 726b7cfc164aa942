// SPDX-License-Identifier: MIT

package hold

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

var shapes = []stranger{
	{name: "dual", addr: "::"},
	{name: "dual on lo", addr: "::", device: loopback},
	{name: "dual elsewhere", addr: "::", device: noInterface},
	{name: "v6", addr: "::", v6only: true},
	{name: "v6 on lo", addr: "::", v6only: true, device: loopback},
	{name: "v4", addr: "0.0.0.0"},
	{name: "v4 elsewhere", addr: "0.0.0.0", device: noInterface},
	{name: "mapped", addr: "::ffff:0.0.0.0"},
	{name: "127.0.0.1", addr: "127.0.0.1"},
	{name: "127.0.0.1 on lo", addr: "127.0.0.1", device: loopback},
	{name: "127.0.0.2", addr: "127.0.0.2"},
	{name: "mapped 127.0.0.1", addr: "::ffff:127.0.0.1"},
	{name: "::1", addr: "::1"},
	{name: "::1 on lo", addr: "::1", device: loopback},
}

// Two sockets overlap if and only if the kernel refuses the second, in any order.
func TestShapesOverlapAsTheKernelSays(t *testing.T) {
	r := newRoom(t)
	for _, a := range shapes {
		r.as(root, func() error {
			first, err := a.bind(rules.UDP, port)
			if err != nil {
				return err
			}
			defer unix.Close(first)
			if got, _, err := shapeOf(first); got != a.shape() || err != nil {
				t.Errorf("%s has the shape %+v, %v; want %+v", a.name, got, err, a.shape())
			}
			for _, b := range shapes {
				second, err := b.bind(rules.UDP, port)
				if err != nil && kerr.Errno(err) != unix.EADDRINUSE {
					return err
				}
				unix.Close(second)
				if got := a.shape().overlaps(b.shape()); got != (err != nil) {
					t.Errorf("%s and %s overlap: %v; the kernel says %v", a.name, b.name, got, err)
				}
			}
			return nil
		})
	}
}

func TestWhole(t *testing.T) {
	for _, s := range shapes {
		if got := s.shape().whole(); got != (s.name == "dual") {
			t.Errorf("%s is the whole port: %v", s.name, got)
		}
	}
}

func TestSockaddr(t *testing.T) {
	for _, test := range []struct {
		family int
		addr   string
		want   string // empty: refused
	}{
		{unix.AF_INET6, "::", "::"},
		{unix.AF_INET6, "::1", "::1"},
		{unix.AF_INET6, "127.0.0.1", "::ffff:127.0.0.1"},
		{unix.AF_INET6, "fe80::1%7", "fe80::1%7"},
		{unix.AF_INET6, "fe80::1%eth0", ""},
		{unix.AF_INET, "::", "0.0.0.0"},
		{unix.AF_INET, "127.0.0.1", "127.0.0.1"},
		{unix.AF_INET, "::ffff:127.0.0.1", "127.0.0.1"},
		{unix.AF_INET, "::1", ""},
		{unix.AF_UNIX, "127.0.0.1", ""},
	} {
		fd, err := unix.Socket(test.family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		sa, err := sockaddr(fd, netip.AddrPortFrom(netip.MustParseAddr(test.addr), port))
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			got = netip.AddrFrom4(sa.Addr).String()
		case *unix.SockaddrInet6:
			ip := netip.AddrFrom16(sa.Addr)
			if sa.ZoneId != 0 {
				ip = ip.WithZone("7")
			}
			got = ip.String()
		}
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s for family %d: %q, %v; want %q", test.addr, test.family, got, err, test.want)
		}
		unix.Close(fd)
	}
}
