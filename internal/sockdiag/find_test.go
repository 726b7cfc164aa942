// SPDX-License-Identifier: MIT

package sockdiag

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

const port = 4433

// made is a socket that a test bound, and what the kernel should show of it.
type made struct {
	fd   int
	want Socket
}

// bindSocket binds a socket until the test ends. device 0 is none.
func bindSocket(t *testing.T, kind int, local string, v6only bool, device int) made {
	t.Helper()
	ap := netip.MustParseAddrPort(local)
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	family := unix.AF_INET6
	if ap.Addr().Is4() {
		sa, family = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, unix.AF_INET
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if v6only {
		err = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if device != 0 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, device))
	}
	var st unix.Stat_t
	cookie, cookieErr := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err := errors.Join(err, unix.Bind(fd, sa), unix.Fstat(fd, &st), cookieErr); err != nil {
		t.Fatal(err)
	}
	unspecified := netip.IPv6Unspecified()
	if ap.Addr().Is4() {
		unspecified = netip.IPv4Unspecified()
	}
	return made{fd, Socket{
		V4: ap.Addr().Is4(), V6Only: v6only, Local: ap, Remote: netip.AddrPortFrom(unspecified, 0),
		Device: uint32(device), Inode: uint32(st.Ino), Cookie: cookie,
	}}
}

// wantFound fails unless the sockets of a port are these, in any order.
func wantFound(t *testing.T, proto uint8, port uint16, want ...made) {
	t.Helper()
	found, err := Find(proto, port)
	if err != nil {
		t.Error(err)
	}
	for _, w := range want {
		if !slices.Contains(found, w.want) {
			t.Errorf("protocol %d, port %d: no %+v", proto, port, w.want)
		}
	}
	if len(found) != len(want) {
		t.Errorf("protocol %d, port %d: found %d sockets, want %d: %+v", proto, port, len(found), len(want), found)
	}
}

func TestFind(t *testing.T) {
	netnstest.CheckFDs(t)
	ns := netnstest.New(t)
	for _, test := range []struct {
		name  string
		proto uint8
		kind  int
	}{
		{"udp", unix.IPPROTO_UDP, unix.SOCK_DGRAM},
		{"tcp", unix.IPPROTO_TCP, unix.SOCK_STREAM}, // bound, not listening
	} {
		t.Run(test.name, func(t *testing.T) {
			ns.Do(t, func() error {
				wantFound(t, test.proto, port)
				bindSocket(t, test.kind, "[::]:4432", false, 0)
				bindSocket(t, test.kind, "[::]:4434", false, 0)
				v6 := bindSocket(t, test.kind, "[::]:4433", true, 0)
				v4 := bindSocket(t, test.kind, "127.0.0.1:4433", false, 1)
				wantFound(t, test.proto, port, v6, v4)
				dual := bindSocket(t, test.kind, "[::]:65535", false, 0)
				wantFound(t, test.proto, 65535, dual)
				mapped := bindSocket(t, test.kind, "[::ffff:127.0.0.1]:1", false, 0)
				wantFound(t, test.proto, 1, mapped)
				wantFound(t, unix.IPPROTO_UDP+unix.IPPROTO_TCP-test.proto, port)
				return nil
			})
		})
	}
}

func TestFindShowsWhoOwnsTheInode(t *testing.T) {
	ns := netnstest.New(t)
	ns.Do(t, func() error {
		s := bindSocket(t, unix.SOCK_DGRAM, "[::]:4433", false, 0)
		s.want.UID = 12345
		if err := unix.Fchown(s.fd, 12345, -1); err != nil {
			return err
		}
		wantFound(t, unix.IPPROTO_UDP, port, s)
		return nil
	})
}

func TestFindShowsAConnectedUDPSocket(t *testing.T) {
	ns := netnstest.New(t)
	ns.Do(t, func() error {
		s := bindSocket(t, unix.SOCK_DGRAM, "127.0.0.1:4433", false, 0)
		if err := unix.Connect(s.fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return err
		}
		s.want.Remote = netip.MustParseAddrPort("127.0.0.1:9")
		wantFound(t, unix.IPPROTO_UDP, port, s)
		return nil
	})
}

// A listener hides its connections. A connection alone is shown: its port is taken too.
func TestFindTCP(t *testing.T) {
	ns := netnstest.New(t)
	ns.Do(t, func() error {
		server := bindSocket(t, unix.SOCK_STREAM, "[::]:4433", false, 0)
		if err := unix.Listen(server.fd, 1); err != nil {
			return err
		}
		client := bindSocket(t, unix.SOCK_STREAM, "127.0.0.1:50000", false, 0)
		if err := unix.Connect(client.fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return err
		}
		client.want.Remote = netip.MustParseAddrPort("127.0.0.1:4433")
		wantFound(t, unix.IPPROTO_TCP, port, server)
		wantFound(t, unix.IPPROTO_TCP, 50000, client)
		return nil
	})
}

func TestFindStaysInItsNamespace(t *testing.T) {
	here, there := netnstest.New(t), netnstest.New(t)
	here.Do(t, func() error { bindSocket(t, unix.SOCK_DGRAM, "[::]:4433", false, 0); return nil })
	there.Do(t, func() error { wantFound(t, unix.IPPROTO_UDP, port); return nil })
}

func TestFindSaysWhatTheKernelLacks(t *testing.T) {
	const noSuchProtocol = 253 // for experiments, RFC 3692
	_, err := Find(noSuchProtocol, port)
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "CONFIG_INET_UDP_DIAG") {
		t.Errorf("error %v", err)
	}
}

func BenchmarkFind(b *testing.B) {
	for _, others := range []int{0, 1000} {
		b.Run(fmt.Sprintf("among %d", others), func(b *testing.B) {
			ns := netnstest.New(b)
			ns.Do(b, func() error {
				for i := range others {
					conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv6loopback, Port: 10000 + i})
					if err != nil {
						return err
					}
					defer conn.Close()
				}
				for b.Loop() {
					if _, err := Find(unix.IPPROTO_UDP, port); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

func TestHints(t *testing.T) {
	for err, want := range map[error]string{
		unix.ENOENT: "CONFIG_INET_DIAG", unix.EPROTONOSUPPORT: "CONFIG_INET_DIAG",
		unix.EPERM: "security policy", unix.EACCES: "security policy", os.ErrClosed: "", unix.ENOBUFS: "",
	} {
		if got := hint(err); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("hint for %v (errno %d) is %q", err, kerr.Errno(err), got)
		}
	}
}
