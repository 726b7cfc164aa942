// SPDX-License-Identifier: MIT

package rules

import (
	"cmp"
	"errors"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"golang.org/x/sys/unix"
)

const (
	testPort    = 4433
	nobodysUID  = 0x7FFD0000 // that the owned tier gives its sockets
	noInterface = 0x7FFFFFFE
	loopback    = 1 // interface index
)

// What is said of strangers is what the kernel does. The cgroup programs that
// enforce a reservation are tested where they are.
func TestKernelTreatsStrangersSo(t *testing.T) {
	netnstest.CheckFDs(t)
	for _, test := range []struct {
		name string
		State
		open func(*testing.T, Proto) []int
	}{
		{"nobody", held(), func(*testing.T, Proto) []int { return nil }},
		{"a client", held(Party{Kind: Client, UID: user}), openPlain},
		{"foreign", held(Party{UID: user}), openPlain},
		{"foreign with SO_REUSEPORT", held(Party{UID: user, ReusePort: true}), func(t *testing.T, proto Proto) []int {
			return []int{mustBind(t, socket{proto: proto, uid: user, reusePort: true})}
		}},
		{"unguarded", held(Party{Kind: Listener, UID: user, Tier: Unguarded}), openUnguarded},
		{"guarded", held(Party{Kind: Listener, UID: user, Tier: Guarded}), openGuarded},
		{"owned", held(Party{Kind: Listener, UID: user, Tier: Owned}), func(t *testing.T, proto Proto) []int {
			s := socket{proto: proto, uid: nobodysUID, reusePort: true}
			return []int{mustBind(t, s), mustBind(t, s)}
		}},
		{"reserved", reserved(Reservation{}), func(*testing.T, Proto) []int { return nil }},
	} {
		for _, proto := range []Proto{UDP, TCP} {
			if proto == TCP && test.name == "guarded" {
				continue // TCP has no such tier
			}
			t.Run(test.name+", "+proto.String(), func(t *testing.T) {
				ns := netnstest.New(t)
				ns.Sysctl(t, "net/ipv4/ip_local_port_range", "4433 4433") // what port 0 chooses from
				if test.Reservation != nil {
					ns.Sysctl(t, "net/ipv4/ip_local_reserved_ports", "4433")
				}
				ns.Do(t, func() error {
					for _, fd := range test.open(t, proto) {
						defer unix.Close(fd)
					}
					test.Proto = proto
					tryStrangers(t, test.State)
					return nil
				})
			})
		}
	}
}

func openPlain(t *testing.T, proto Proto) []int {
	return []int{mustBind(t, socket{proto: proto, uid: user})}
}

func openUnguarded(t *testing.T, proto Proto) []int {
	first := mustBind(t, socket{proto: proto, uid: user})
	setsockopt(t, first, unix.SO_REUSEPORT, 1)
	return []int{first, mustBind(t, socket{proto: proto, uid: user, reusePort: true})}
}

func openGuarded(t *testing.T, proto Proto) []int {
	guard := mustBind(t, socket{proto: proto, uid: user, reusePort: true})
	setsockopt(t, guard, unix.SO_BINDTOIFINDEX, noInterface)
	member := mustBind(t, socket{proto: proto, uid: user, reusePort: true})
	setsockopt(t, guard, unix.SO_REUSEPORT, 0)
	return []int{guard, member}
}

// tryStrangers binds sockets of every kind, and compares with the rule.
func tryStrangers(t *testing.T, state State) {
	for i := range 16 {
		s := socket{proto: state.Proto, uid: user, reusePort: i&1 != 0, port0: i&2 != 0}
		if i&4 != 0 {
			s.device = loopback
		}
		if i&8 != 0 {
			s.uid = otherUser
		}
		party := Party{UID: uint32(s.uid), ReusePort: s.reusePort, DeviceBound: s.device != 0}
		want := Decide(state, Request{party, s.port0}).Outcome
		fd, err := bind(s)
		unix.Close(fd)
		if in := err == nil; in != (want == Granted || want == Shares) || !in && !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("%+v: %v, want %v", s, err, want)
		}
	}
}

// A socket is a dual-mode socket to bind to the port under test, or to port 0.
type socket struct {
	proto     Proto
	uid       int
	reusePort bool
	device    int // 0 is none
	port0     bool
}

// bind returns a descriptor also when it fails, -1 if there is none.
func bind(s socket) (int, error) {
	kind := unix.SOCK_DGRAM
	if s.proto == TCP {
		kind = unix.SOCK_STREAM
	}
	fd, err := unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	address := &unix.SockaddrInet6{Port: testPort}
	if s.port0 {
		address.Port = 0
	}
	reusePort := 0
	if s.reusePort {
		reusePort = 1
	}
	return fd, cmp.Or(
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, s.device),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, reusePort),
		unix.Fchown(fd, s.uid, -1),
		unix.Bind(fd, address),
	)
}

func mustBind(t *testing.T, s socket) int {
	t.Helper()
	fd, err := bind(s)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return fd
}

func setsockopt(t *testing.T, fd, option, value int) {
	t.Helper()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, value); err != nil {
		t.Fatalf("setsockopt(%d, %d): %v", option, value, err)
	}
}
