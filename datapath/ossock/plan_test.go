// SPDX-License-Identifier: MIT

package ossock

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// asked makes a request of addresses in words; "" means none.
func asked(kind uint8, local, remote string) *batch.Open {
	req := &batch.Open{Kind: kind, HasLocal: local != "", HasRemote: remote != ""}
	if req.HasLocal {
		req.Local = addrOf(local)
	}
	if req.HasRemote {
		req.Remote = addrOf(remote)
	}
	return req
}

func changed(req *batch.Open, change func(*batch.Open)) *batch.Open {
	change(req)
	return req
}

type planTest struct {
	name       string
	req        *batch.Open
	family     int
	bind, peer batch.Addr
	refused    string // says this, with EAFNOSUPPORT
}

func (test planTest) run(t *testing.T) {
	t.Helper()
	p, err := newPlan(test.req)
	if test.refused != "" {
		wantError(t, err, unix.EAFNOSUPPORT, "socket(", test.refused)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.family != test.family || p.bind != test.bind {
		t.Errorf("family %d, bind %+v; want %d, %+v", p.family, p.bind, test.family, test.bind)
	}
	if test.req.HasRemote && p.peer != test.peer {
		t.Errorf("peer %+v, want %+v", p.peer, test.peer)
	}
}

const (
	v4, v6             = unix.AF_INET, unix.AF_INET6
	udp, tcp, listener = batch.KindUDP, batch.KindTCP, batch.KindTCPListener
)

func TestPlanChoosesTheFamily(t *testing.T) {
	none := batch.Addr{}
	for _, test := range []planTest{
		{"nothing asked", asked(udp, "", ""), v6, addrOf("[::]:0"), none, ""},
		{"listener, nothing asked", asked(listener, "", ""), v6, addrOf("[::]:0"), none, ""},
		{"no family, a port", changed(asked(udp, "", ""), func(r *batch.Open) {
			r.HasLocal, r.Local.Port = true, [2]byte{1, 2}
		}), v6, addrOf("[::]:258"), none, ""},
		{"local address not given is not looked at", changed(asked(udp, "", ""), func(r *batch.Open) {
			r.Local = addrOf("10.0.0.1:0")
		}), v6, addrOf("[::]:0"), none, ""},
		{"IPv6 wildcard", asked(udp, "[::]:443", ""), v6, addrOf("[::]:443"), none, ""},
		{"IPv4 wildcard", asked(udp, "0.0.0.0:443", ""), v6, addrOf("[::ffff:0.0.0.0]:443"), none, ""},
		{"IPv4", asked(udp, "10.0.0.1:443", ""), v6, addrOf("[::ffff:10.0.0.1]:443"), none, ""},
		{"IPv6 with an interface", changed(asked(udp, "[fe80::1]:443", ""), func(r *batch.Open) { r.Local.Scope = 7 }),
			v6, withScope("[fe80::1]:443", 7), none, ""},
		{"IPv4 listener", asked(listener, "10.0.0.1:443", ""), v6, addrOf("[::ffff:10.0.0.1]:443"), none, ""},
		{"garbage where no remote is given", changed(asked(udp, "[::]:443", ""), func(r *batch.Open) { r.Remote.Family = 99 }),
			v6, addrOf("[::]:443"), none, ""},

		{"IPv4 peer", asked(udp, "", "10.0.0.2:443"), v4, addrOf("0.0.0.0:0"), addrOf("10.0.0.2:443"), ""},
		{"mapped peer", asked(udp, "", "[::ffff:10.0.0.2]:443"), v4, addrOf("0.0.0.0:0"), addrOf("10.0.0.2:443"), ""},
		{"IPv4 peer, IPv4", asked(udp, "10.0.0.1:5", "10.0.0.2:443"), v4, addrOf("10.0.0.1:5"), addrOf("10.0.0.2:443"), ""},
		{"IPv4 peer, mapped", asked(udp, "[::ffff:10.0.0.1]:5", "10.0.0.2:443"), v4, addrOf("10.0.0.1:5"), addrOf("10.0.0.2:443"), ""},
		{"IPv4 peer, IPv6 wildcard", asked(udp, "[::]:5", "10.0.0.2:443"), v4, addrOf("0.0.0.0:5"), addrOf("10.0.0.2:443"), ""},
		{"IPv4 peer, interface in the scope", changed(asked(udp, "10.0.0.1:5", "10.0.0.2:443"), func(r *batch.Open) {
			r.Local.Scope, r.Remote.Scope = 7, 8
		}), v4, addrOf("10.0.0.1:5"), addrOf("10.0.0.2:443"), ""},
		{"IPv6 peer", asked(udp, "", "[fd00::2]:443"), v6, addrOf("[::]:0"), addrOf("[fd00::2]:443"), ""},
		{"IPv6 peer, IPv6", asked(udp, "[fd00::1]:5", "[fd00::2]:443"), v6, addrOf("[fd00::1]:5"), addrOf("[fd00::2]:443"), ""},
		{"IPv6 peer with an interface", changed(asked(udp, "", "[fe80::2]:443"), func(r *batch.Open) { r.Remote.Scope = 7 }),
			v6, addrOf("[::]:0"), withScope("[fe80::2]:443", 7), ""},
		// The kernel refuses these two.
		{"IPv4 peer, IPv6 address", asked(udp, "[fd00::1]:5", "10.0.0.2:443"), v6, addrOf("[fd00::1]:5"), addrOf("[::ffff:10.0.0.2]:443"), ""},
		{"IPv6 peer, IPv4 address", asked(udp, "10.0.0.1:5", "[fd00::2]:443"), v6, addrOf("[::ffff:10.0.0.1]:5"), addrOf("[fd00::2]:443"), ""},
		{"TCP to IPv4", asked(tcp, "", "10.0.0.2:443"), v6, addrOf("[::]:0"), addrOf("[::ffff:10.0.0.2]:443"), ""},
		{"TCP to IPv6", asked(tcp, "", "[fd00::2]:443"), v6, addrOf("[::]:0"), addrOf("[fd00::2]:443"), ""},

		{"garbage", changed(asked(udp, "[::]:443", ""), func(r *batch.Open) { r.Local.Family = 99 }), 0, none, none, "address family 99"},
		{"garbage peer", changed(asked(udp, "", "[::]:443"), func(r *batch.Open) { r.Remote.Family = unix.AF_UNIX }), 0, none, none, "address family 1"},
		{"peer without family", changed(asked(tcp, "", "[::]:443"), func(r *batch.Open) { r.Remote.Family = 0 }), 0, none, none, "address family 0"},
	} {
		t.Run(test.name, test.run)
	}
}

// withoutIPv6 plays a kernel that has IPv6 switched off.
func withoutIPv6(t *testing.T) {
	real := haveIPv6
	haveIPv6 = func() bool { return false }
	t.Cleanup(func() { haveIPv6 = real })
}

func TestPlanWithoutIPv6(t *testing.T) {
	withoutIPv6(t)
	none := batch.Addr{}
	const off = "IPv6 switched off"
	for _, test := range []planTest{
		{"nothing asked", asked(udp, "", ""), v4, addrOf("0.0.0.0:0"), none, ""},
		{"IPv6 wildcard", asked(udp, "[::]:443", ""), v4, addrOf("0.0.0.0:443"), none, ""},
		{"IPv4", asked(listener, "10.0.0.1:443", ""), v4, addrOf("10.0.0.1:443"), none, ""},
		{"mapped", asked(udp, "[::ffff:10.0.0.1]:443", ""), v4, addrOf("10.0.0.1:443"), none, ""},
		{"interface in the scope", changed(asked(udp, "10.0.0.1:443", ""), func(r *batch.Open) { r.Local.Scope = 7 }),
			v4, addrOf("10.0.0.1:443"), none, ""},
		{"TCP to IPv4", asked(tcp, "", "10.0.0.2:443"), v4, addrOf("0.0.0.0:0"), addrOf("10.0.0.2:443"), ""},
		{"UDP to a mapped address", asked(udp, "[::]:5", "[::ffff:10.0.0.2]:443"), v4, addrOf("0.0.0.0:5"), addrOf("10.0.0.2:443"), ""},
		{"IPv6", asked(udp, "[::1]:443", ""), 0, none, none, off},
		{"IPv6 peer", asked(udp, "", "[::1]:443"), 0, none, none, off},
		{"TCP to IPv6", asked(tcp, "", "[::1]:443"), 0, none, none, off},
		{"IPv4 peer, IPv6 address", asked(udp, "[::1]:5", "10.0.0.2:443"), 0, none, none, off},
	} {
		t.Run(test.name, test.run)
	}
}

func TestDescription(t *testing.T) {
	for _, test := range []struct {
		req  *batch.Open
		want string
	}{
		{asked(udp, "[::]:443", ""), "udp [::]:443"},
		{asked(udp, "", "10.0.0.2:443"), "udp 0.0.0.0:0 to 10.0.0.2:443"},
		{asked(tcp, "[fd00::1]:5", "[fd00::2]:443"), "tcp [fd00::1]:5 to [fd00::2]:443"},
		{changed(asked(listener, "[::]:443", ""), func(r *batch.Open) { r.InterfaceIndex = 7 }), "tcp [::]:443 on interface 7"},
	} {
		p, err := newPlan(test.req)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.describe(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
