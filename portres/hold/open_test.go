// SPDX-License-Identifier: MIT

package hold

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// With port 0 the kernel never chooses a port that somebody has, not even one of
// the same user with SO_REUSEPORT, and says so when none is left.
func TestPort0(t *testing.T) {
	for _, proto := range []rules.Proto{rules.UDP, rules.TCP} {
		for _, tier := range []rules.Tier{rules.Owned, rules.Guarded, rules.Unguarded} {
			if proto == rules.TCP && tier == rules.Guarded {
				continue
			}
			t.Run(fmt.Sprintf("%s, %s", proto, tier), func(t *testing.T) {
				r := newRoom(t)
				r.ns.Sysctl(t, "net/ipv4/ip_local_port_range", "5000 5001")
				o := most(group(proto, 2), tier)
				o.Addr = at("[::]:0")
				seen := map[uint16]bool{}
				for range 2 {
					d, _ := r.mustOpen(root, o, tier)
					r.mustAdmit(root, d, 1)
					seen[d.Addr().Port()] = true
				}
				if !seen[5000] || !seen[5001] {
					t.Errorf("ports %v", seen)
				}
				_, _, err := r.open(root, o)
				if !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "ip_local_port_range") {
					t.Errorf("a third of two: %v", err)
				}
			})
		}
	}
}

// UDP and TCP ports have nothing to do with each other.
func TestProtocolsAreSeparate(t *testing.T) {
	r := newRoom(t)
	r.mustOpen(root, group(rules.UDP, 2), rules.Owned)
	r.mustOpen(root, group(rules.TCP, 2), rules.Owned)
}

func TestTwoDoorsAtOneAddress(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		r.mustOpen(uid, o, tier)
		_, _, err := r.open(uid, o)
		refusal := wantInUse(t, err)
		if len(refusal.Holders) == 0 || !refusal.Holders[0].SameProcess || refusal.Entered {
			t.Errorf("refused by %+v", refusal)
		}
	})
}

// Doors at different addresses of one port do not meet.
func TestTwoDoorsOfOnePort(t *testing.T) {
	for _, uid := range []int{root, user} {
		r := newRoom(t)
		for _, addr := range []string{"127.0.0.1:4433", "127.0.0.2:4433", "[::1]:4433"} {
			o := group(rules.UDP, 2)
			o.Addr = at(addr)
			tier := rules.Owned
			if uid == user {
				tier = rules.Guarded
			}
			d, _ := r.mustOpen(uid, o, tier)
			r.mustAdmit(uid, d, 1)
		}
	}
}

// SO_REUSEADDR and SO_REUSEPORT are not the caller's to set.
func TestOptionsThatLetOthersIn(t *testing.T) {
	r := newRoom(t)
	for _, members := range []int{1, 2} {
		o := group(rules.UDP, members)
		o.Shared = false
		plain := o.NewSocket
		o.NewSocket = func() (int, error) {
			fd, err := plain()
			return fd, errors.Join(err, setReusePort(fd, 1), setOption(fd, unix.SO_REUSEADDR, "", 1))
		}
		d, fds, err := r.open(root, o)
		if err != nil {
			t.Fatal(err)
		}
		r.wantKept(d, root, rules.Owned)
		descriptors.CloseAll(fds)
		d.Release()
	}
}

// Whichever socket cannot be made: nothing stays open, and the port is free.
func TestFailureAtAnySocket(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		o.Spares = 2
		plain, sockets, fail := o.NewSocket, 0, 0
		o.NewSocket = func() (int, error) {
			if sockets++; sockets == fail {
				return -1, unix.EMFILE
			}
			return plain()
		}
		for fail = 1; ; fail++ {
			sockets = 0
			d, members, err := r.open(uid, o)
			if err == nil {
				descriptors.CloseAll(members)
				d.Release()
				break
			}
			if !errors.Is(err, unix.EMFILE) || d != nil || members != nil {
				t.Errorf("socket %d cannot be made: %v, %v, %v", fail, d, members, err)
			}
			r.wantFree()
		}
		due := 1 + o.Members
		if tier == rules.Guarded {
			due += o.Spares
		}
		if fail < due {
			t.Errorf("opened with %d sockets", fail-1)
		}
	})
}

func TestOptionsRefused(t *testing.T) {
	for name, spoil := range map[string]func(o *Options){
		"protocol":       func(o *Options) { o.Proto = 1 },
		"makes a socket": func(o *Options) { o.NewSocket = nil },
		"at least one":   func(o *Options) { o.Members = 0 },
		"socket":         func(o *Options) { o.Spares = -1 },
		"family":         func(o *Options) { o.NewSocket = sockets(rules.UDP, unix.AF_INET); o.Addr = at("[::1]:4433") },
		"zone":           func(o *Options) { o.Addr = at("[fe80::1%eth0]:4433") },
		"cannot assign":  func(o *Options) { o.Addr = at("[2001:db8::1]:4433") },
		"SO_REUSEPORT":   func(o *Options) { o.NewSocket = func() (int, error) { return unix.Dup(0) } },
	} {
		r := newRoom(t)
		o := group(rules.UDP, 2)
		spoil(&o)
		_, _, err := r.open(root, o)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error about %q, have %v", name, err)
		}
	}
}

// The zone of an address is the number of an interface.
func TestLinkLocalAddress(t *testing.T) {
	r := newRoom(t)
	r.ns.Run(t, "ip", "address", "add", "fe80::1/64", "dev", "lo", "nodad")
	for uid, tier := range map[int]rules.Tier{root: rules.Owned, user: rules.Unguarded} {
		o := group(rules.UDP, 2)
		o.Addr = netip.AddrPortFrom(netip.MustParseAddr("fe80::1%1"), port)
		d, members := r.mustOpen(uid, o, tier)
		if d.Addr() != at("[fe80::1]:4433") || d.shape.device != loopback {
			t.Errorf("at %s, %+v", d.Addr(), d.shape)
		}
		d.Release()
		for i, fd := range members {
			unix.Close(fd)
			members[i] = -1
		}
	}
}

func TestWhatInUseSays(t *testing.T) {
	holder := rules.Party{UID: 1000, Process: 12, Program: "nginx"}
	e := &InUse{Proto: rules.UDP, Addr: at("[::]:4433"), Holders: []rules.Party{holder}}
	for _, test := range []struct {
		change func()
		want   string
	}{
		{func() {}, `UDP port 4433 is held by a foreign program (pid 12, "nginx", uid 1000): stop that program, or choose another port`},
		{func() { e.Entered = true }, "; it came in while the port was being opened"},
		{func() { e.Holders = append(e.Holders, holder, holder) }, "; 2 more sockets are on it"},
		{func() { e.Holders = nil }, "bind(udp [::]:4433): address already in use (errno 98); its holder cannot be found out"},
	} {
		test.change()
		if got := e.Error(); !strings.Contains(got, test.want) {
			t.Errorf("%q does not say %q", got, test.want)
		}
	}
	if !errors.Is(e, unix.EADDRINUSE) {
		t.Error("it is no EADDRINUSE")
	}
}

func TestHolders(t *testing.T) {
	r := newRoom(t)
	r.mustOpen(root, group(rules.UDP, 1), rules.Owned)
	r.as(root, func() error {
		want := plainStranger.party(t, OwnerUID)
		got, err := Holders(rules.UDP, port)
		if len(got) != 1 || got[0] != want {
			t.Errorf("holders are %+v, want %+v", got, want)
		}
		if free, err := Holders(rules.TCP, port); len(free) != 0 || err != nil {
			t.Errorf("holders of a free port are %+v, %v", free, err)
		}
		return err
	})
}
