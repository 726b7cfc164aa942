// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Every answer is checked against connect(2), which is what it predicts.
func TestLocalAddressFor(t *testing.T) {
	h := newHost(t)
	h.ip(t, `
		addr add 10.0.0.77/24 dev a
		route add 198.51.100.0/24 via 10.1.0.2
		route add 203.0.113.0/24 via 10.0.0.2 src 10.0.0.77
		route add 192.0.2.0/24 via inet6 fd00:b::2 dev b
		-6 route add 2001:db8:1::/48 via fd00:b::2
		-6 route add 2001:db8:2::/48 via fd00:a::2 src fd00:b::1`)
	for _, test := range []struct {
		remote, source string
		iface          int // by which it leaves
	}{
		{"10.0.0.2", "10.0.0.1", h.a.Index},
		{"10.1.0.2", "10.1.0.1", h.b.Index},
		{"198.51.100.9", "10.1.0.1", h.b.Index},
		{"203.0.113.9", "10.0.0.77", h.a.Index},
		{"192.0.2.9", "10.1.0.1", h.b.Index},
		{"::ffff:198.51.100.9", "10.1.0.1", h.b.Index},
		{"fd00:a::2", "fd00:a::1", h.a.Index},
		{"2001:db8:1::9", "fd00:b::1", h.b.Index},
		{"2001:db8:2::9", "fd00:b::1", h.a.Index},
		{"127.0.0.1", "127.0.0.1", 1},
		{"127.1.2.3", "127.0.0.1", 1},
		{"10.0.0.1", "10.0.0.1", 1},
		{"10.0.0.77", "10.0.0.1", 1}, // secondary: the primary one speaks for it
		{"::1", "::1", 1},
		{"fd00:b::1", "fd00:b::1", 1},
	} {
		t.Run(test.remote, func(t *testing.T) {
			remote := netip.MustParseAddr(test.remote)
			h.wantPath(t, remote, LookupOptions{}, test.source, test.iface)
			h.wantAsConnect(t, remote, 4433)
		})
	}
}

func TestLocalAddressForLinkLocal(t *testing.T) {
	h := newHost(t)
	h.ip(t, `
		-6 addr add fe80::a/64 dev a nodad
		-6 addr add fe80::b/64 dev b nodad
		-6 route add fe80::2 dev a src fe80::a
		-6 route add fe80::2 dev b src fe80::b metric 9`)
	peer := netip.MustParseAddr("fe80::2")
	a, b := LookupOptions{Interface: h.a.Index}, LookupOptions{Interface: h.b.Index}
	h.wantPath(t, peer, a, "fe80::a", h.a.Index)
	h.wantPath(t, peer, b, "fe80::b", h.b.Index)
	h.wantPath(t, peer.WithZone("b"), LookupOptions{}, "fe80::b", h.b.Index)
	h.wantPath(t, peer.WithZone("b"), b, "fe80::b", h.b.Index)
	h.wantPath(t, peer.WithZone(fmt.Sprint(h.b.Index)), LookupOptions{}, "fe80::b", h.b.Index)

	h.wantErrno(t, peer, LookupOptions{}, unix.EINVAL)
	h.wantErrno(t, peer.WithZone("b"), a, unix.EINVAL)
	h.wantErrno(t, peer.WithZone("absent"), LookupOptions{}, unix.ENODEV)
	h.wantErrno(t, peer.WithZone("a-name-too-long-for-an-interface"), LookupOptions{}, unix.ENODEV)
	h.wantErrno(t, peer, LookupOptions{Interface: 9999}, unix.ENETUNREACH)
	h.wantErrno(t, netip.MustParseAddr("ff02::1"), LookupOptions{}, unix.EINVAL)

	// As in connect(2), a zone is nothing to an address that is not link-local.
	h.wantPath(t, netip.MustParseAddr("fd00:a::2%b"), LookupOptions{}, "fd00:a::1", h.a.Index)
}

func TestLocalAddressForInterface(t *testing.T) {
	h := newHost(t)
	h.ip(t, `
		route add default via 10.0.0.2
		route add default via 10.1.0.2 metric 500
		-6 route add default via fd00:a::2
		-6 route add default via fd00:b::2 metric 5000`)
	for remote, sources := range map[string][2]string{
		"8.8.8.8":     {"10.0.0.1", "10.1.0.1"},
		"2001::8":     {"fd00:a::1", "fd00:b::1"},
		"169.254.1.1": {"10.0.0.1", "10.1.0.1"},
	} {
		remote := netip.MustParseAddr(remote)
		h.wantPath(t, remote, LookupOptions{}, sources[0], h.a.Index)
		h.wantPath(t, remote, LookupOptions{Interface: h.a.Index}, sources[0], h.a.Index)
		h.wantPath(t, remote, LookupOptions{Interface: h.b.Index}, sources[1], h.b.Index)
	}
	h.wantErrno(t, netip.MustParseAddr("8.8.8.8"), LookupOptions{Interface: 9999}, unix.ENODEV)
}

// Without a route of that interface, IPv4 takes the peer for a neighbour.
func TestLocalAddressForInterfaceAssumesOnLink(t *testing.T) {
	h := newHost(t)
	h.wantPath(t, netip.MustParseAddr("8.8.8.8"), LookupOptions{Interface: h.b.Index}, "10.1.0.1", h.b.Index)
	h.wantErrno(t, netip.MustParseAddr("2001::8"), LookupOptions{Interface: h.b.Index}, unix.ENETUNREACH)
}

func TestLocalAddressForMultipath(t *testing.T) {
	h := newHost(t)
	h.ip(t, `
		route add default nexthop via 10.0.0.2 nexthop via 10.1.0.2
		-6 route add default nexthop via fd00:a::2 nexthop via fd00:b::2`)
	sources := map[netip.Addr]int{
		netip.MustParseAddr("10.0.0.1"): h.a.Index, netip.MustParseAddr("fd00:a::1"): h.a.Index,
		netip.MustParseAddr("10.1.0.1"): h.b.Index, netip.MustParseAddr("fd00:b::1"): h.b.Index,
	}
	seen := make(map[netip.Addr]int)
	h.ns.Do(t, func() error {
		v4, v6 := netip.MustParseAddr("8.8.8.0"), netip.MustParseAddr("2001::")
		for range 64 {
			v4, v6 = v4.Next(), v6.Next()
			for _, remote := range []netip.Addr{v4, v6} {
				src, index, err := LocalAddressFor(remote, LookupOptions{})
				if err != nil {
					return err
				}
				if index == 0 || sources[src] != index {
					t.Errorf("to %v: %v by interface %d", remote, src, index)
				}
				seen[src]++
			}
		}
		return nil
	})
	if len(seen) != len(sources) {
		t.Errorf("128 peers used the sources %v, want all of %v", seen, sources)
	}
}

func TestLocalAddressForPolicyRules(t *testing.T) {
	h := newHost(t)
	h.ip(t, `
		route add default via 10.0.0.2
		route add default via 10.1.0.2 table 100
		-6 route add default via fd00:a::2
		-6 route add default via fd00:b::2 table 100
		rule add to 192.0.2.0/24 lookup 100
		-6 rule add to 2001:db8::/32 lookup 100
		rule add ipproto udp dport 443 lookup 100
		-6 rule add ipproto udp dport 443 lookup 100
		rule add uidrange 65534-65534 lookup 100
		rule add to 198.51.100.0/24 prohibit`)
	plain, plain6 := netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2001::8")
	h.wantPath(t, plain, LookupOptions{}, "10.0.0.1", h.a.Index)
	h.wantPath(t, plain6, LookupOptions{}, "fd00:a::1", h.a.Index)
	h.wantPath(t, netip.MustParseAddr("192.0.2.9"), LookupOptions{}, "10.1.0.1", h.b.Index)
	h.wantPath(t, netip.MustParseAddr("2001:db8::9"), LookupOptions{}, "fd00:b::1", h.b.Index)
	h.wantErrno(t, netip.MustParseAddr("198.51.100.9"), LookupOptions{}, unix.EACCES)

	h.wantPath(t, plain, LookupOptions{Port: 443}, "10.1.0.1", h.b.Index)
	h.wantPath(t, plain, LookupOptions{Port: 4433}, "10.0.0.1", h.a.Index)
	h.wantPath(t, plain6, LookupOptions{Port: 443}, "fd00:b::1", h.b.Index)
	h.wantAsConnect(t, plain, 443)
	h.wantAsConnect(t, plain6, 443)

	h.ns.Do(t, func() error {
		// As in a set-user-ID program, the real user stays: a socket belongs to
		// the effective one. The raw call changes this thread only, which ends.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); errno != 0 {
			return errno
		}
		got, _, err := LocalAddressFor(plain, LookupOptions{})
		if err != nil {
			return err
		}
		if want, err := connected(plain, 4433); got != want || got != netip.MustParseAddr("10.1.0.1") {
			t.Errorf("another user's source is %v, a socket gets %v (%v)", got, want, err)
		}
		return nil
	})
}

func TestLocalAddressForRefused(t *testing.T) {
	h := newHost(t)
	h.ip(t, `
		route add unreachable 192.0.2.0/26
		route add prohibit 192.0.2.64/26
		route add blackhole 192.0.2.128/26
		route add throw 192.0.2.192/26
		-6 route add unreachable 2001:db8:1::/48
		-6 route add prohibit 2001:db8:2::/48
		-6 route add blackhole 2001:db8:3::/48`)
	for remote, want := range map[string]syscall.Errno{
		"192.0.2.1":         unix.EHOSTUNREACH,
		"192.0.2.65":        unix.EACCES,
		"192.0.2.129":       unix.EINVAL,
		"192.0.2.193":       unix.ENETUNREACH,
		"8.8.8.8":           unix.ENETUNREACH,
		"::ffff:192.0.2.65": unix.EACCES,
		"2001:db8:1::1":     unix.EHOSTUNREACH,
		"2001:db8:2::1":     unix.EACCES,
		"2001:db8:3::1":     unix.EINVAL,
		"2001::8":           unix.ENETUNREACH,
		"0.0.0.0":           unix.EINVAL,
		"::":                unix.EINVAL,
		"::ffff:0.0.0.0":    unix.EINVAL,
	} {
		h.wantErrno(t, netip.MustParseAddr(remote), LookupOptions{}, want)
	}
	h.wantErrno(t, netip.Addr{}, LookupOptions{}, unix.EINVAL)
}

func TestLocalAddressForInterfaceDown(t *testing.T) {
	h := newHost(t)
	h.ip(t, "link set dev a down")
	h.wantErrno(t, netip.MustParseAddr("10.0.0.2"), LookupOptions{}, unix.ENETUNREACH)
	h.wantErrno(t, netip.MustParseAddr("fd00:a::2"), LookupOptions{}, unix.ENETUNREACH)
	h.wantErrno(t, netip.MustParseAddr("10.0.0.2"), LookupOptions{Interface: h.a.Index}, unix.ENETUNREACH)
}

func TestLocalAddressForWithoutAddress(t *testing.T) {
	h := newHost(t)
	h.ip(t, `
		addr flush dev a
		addr flush dev b
		addr flush dev lo
		route add 192.0.2.0/24 dev a
		-6 route add 2001:db8::/32 dev a`)
	h.wantErrno(t, netip.MustParseAddr("192.0.2.1"), LookupOptions{}, unix.EADDRNOTAVAIL)
	h.wantErrno(t, netip.MustParseAddr("2001:db8::1"), LookupOptions{}, unix.EADDRNOTAVAIL)
}

func (h host) wantPath(t *testing.T, remote netip.Addr, opts LookupOptions, source string, iface int) {
	t.Helper()
	h.ns.Do(t, func() error {
		src, index, err := LocalAddressFor(remote, opts)
		if err != nil || src != netip.MustParseAddr(source) || index != iface {
			t.Errorf("to %v %+v: %v by interface %d (%v), want %s by %d", remote, opts, src, index, err, source, iface)
		}
		return nil
	})
}

// wantErrno also checks that the error says what was asked.
func (h host) wantErrno(t *testing.T, remote netip.Addr, opts LookupOptions, want syscall.Errno) {
	t.Helper()
	h.ns.Do(t, func() error {
		src, index, err := LocalAddressFor(remote, opts)
		if src.IsValid() || index != 0 {
			t.Errorf("to %v %+v: returned %v and %d beside the error", remote, opts, src, index)
		}
		var typed *Error
		if !errors.As(err, &typed) || typed.Errno() != want || !errors.Is(err, want) {
			t.Errorf("to %v %+v: %v, want %v", remote, opts, err, want)
		} else if !strings.Contains(err.Error(), unix.ErrnoName(want)) || typed.Hint == "" {
			t.Errorf("to %v %+v: message %q lacks the errno or a hint", remote, opts, err)
		}
		return nil
	})
}

// wantAsConnect checks the answer against a socket's.
func (h host) wantAsConnect(t *testing.T, remote netip.Addr, port uint16) {
	t.Helper()
	h.ns.Do(t, func() error {
		want, err := connected(remote.Unmap(), port)
		if err != nil {
			return fmt.Errorf("connect to %v: %w", remote, err)
		}
		if got, _, err := LocalAddressFor(remote, LookupOptions{Port: port}); got != want {
			t.Errorf("to %v, port %d: %v (%v), a socket gets %v", remote, port, got, err, want)
		}
		return nil
	})
}

// connected returns the local address of a UDP socket connected to remote.
func connected(remote netip.Addr, port uint16) (netip.Addr, error) {
	family, peer := unix.AF_INET, unix.Sockaddr(nil)
	if remote.Is4() {
		peer = &unix.SockaddrInet4{Addr: remote.As4(), Port: int(port)}
	} else {
		family, peer = unix.AF_INET6, &unix.SockaddrInet6{Addr: remote.As16(), Port: int(port)}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, peer); err != nil {
		return netip.Addr{}, err
	}
	switch local, err := unix.Getsockname(fd); local := local.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(local.Addr), err
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(local.Addr), err
	default:
		return netip.Addr{}, err
	}
}
