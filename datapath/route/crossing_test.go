// SPDX-License-Identifier: MIT

package route

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// newDuo makes a pair of interfaces in one namespace that reach each other by
// host routes and static neighbours, as MsQuic's tests do.
func newDuo(t *testing.T) (tab *table, one, two *netnstest.End) {
	t.Helper()
	netnstest.CheckFDs(t)
	h := host{ns: netnstest.New(t)}
	one = &netnstest.End{NS: h.ns, Name: "duo1", Addrs: netnstest.Prefixes("192.168.1.11/24", "fc00::1:11/112")}
	two = &netnstest.End{NS: h.ns, Name: "duo2", Addrs: netnstest.Prefixes("192.168.1.12/24", "fc00::1:12/112")}
	netnstest.Veth(t, one, two)
	h.ip(t, `
		neigh add 192.168.1.12 lladdr 22:22:22:22:00:02 dev duo1 nud permanent
		neigh add 192.168.1.11 lladdr 22:22:22:22:00:01 dev duo2 nud permanent
		-6 neigh add fc00::1:12 lladdr 22:22:22:22:00:02 dev duo1 nud permanent
		-6 neigh add fc00::1:11 lladdr 22:22:22:22:00:01 dev duo2 nud permanent
		route add 192.168.1.12/32 dev duo1 metric 0
		route add 192.168.1.11/32 dev duo2 metric 0
		-6 route add fc00::1:12/128 dev duo1 metric 0
		-6 route add fc00::1:11/128 dev duo2 metric 0`)
	tab = h.table(t, TableOptions{})
	tab.a, tab.b = one, two
	return tab, one, two
}

func TestCrossing(t *testing.T) {
	tab, one, two := newDuo(t)
	for _, test := range []struct {
		remote, local string
		by            *netnstest.End
		source        string
		mac           byte
	}{
		{"192.168.1.11", "", two, "192.168.1.12", 1},
		{"192.168.1.12", "", one, "192.168.1.11", 2},
		{"192.168.1.11", "192.168.1.12", two, "192.168.1.12", 1},
		{"192.168.1.12", "192.168.1.11", one, "192.168.1.11", 2},
		{"fc00::1:11", "", two, "fc00::1:12", 1},
		{"fc00::1:12", "", one, "fc00::1:11", 2},
		{"fc00::1:11", "fc00::1:12", two, "fc00::1:12", 1},
		{"fc00::1:12", "fc00::1:11", one, "fc00::1:11", 2},
	} {
		q := tab.to(test.remote)
		if test.local != "" {
			q = tab.from(test.local, test.remote)
		}
		a := tab.Resolve(q) // at once: that is what static neighbours are for
		tab.want(a, Known, test.by.Index, test.source, test.remote)
		if want := [6]byte{0x22, 0x22, 0x22, 0x22, 0, test.mac}; a.MAC != want || a.SourceMAC != macOf(t, test.by) {
			t.Errorf("%s from %q: %x, %x", test.remote, test.local, a.SourceMAC, a.MAC)
		}
	}
}

// What is not meant to cross stays in the host.
func TestCrossingNot(t *testing.T) {
	tab, one, two := newDuo(t)
	tab.ip(t, "addr add 192.168.1.13/24 dev duo1\n -6 addr add fc00::1:13/112 dev duo1 nodad")
	elsewhere := func(what string, q *Query) {
		t.Helper()
		// The kernel adds the local route of a new IPv6 address in the background.
		tab.becomes(what, q, func(a Answer) bool { return a.State == Elsewhere && a.Index == 1 })
	}
	only := func(q *Query, interfaces ...int) *Query {
		q.Interfaces = interfaces
		return q
	}
	elsewhere("to itself", tab.from("192.168.1.11", "192.168.1.11"))
	elsewhere("to itself, IPv6", tab.from("fc00::1:11", "fc00::1:11"))
	elsewhere("without a host route", tab.to("192.168.1.13"))
	elsewhere("without a host route, IPv6", tab.to("fc00::1:13"))
	elsewhere("from loopback", tab.from("127.0.0.1", "192.168.1.11"))
	elsewhere("by the wrong interface", only(tab.to("192.168.1.11"), one.Index))
	elsewhere("by no interface", only(tab.to("192.168.1.11")))
	tab.want(tab.Resolve(only(tab.to("192.168.1.11"), two.Index)), Known, two.Index, "192.168.1.12", "192.168.1.11")
	elsewhere("by the wrong interface again", only(tab.to("192.168.1.11"), one.Index))
}

func TestCrossingFollowsChanges(t *testing.T) {
	tab, _, two := newDuo(t)
	for _, peer := range []string{"192.168.1.11", "fc00::1:11"} {
		q := tab.to(peer)
		bits := netip.MustParseAddr(peer).BitLen()
		crosses := func(a Answer) bool { return a.State == Known && a.Index == two.Index }
		tab.becomes("crosses", q, crosses)
		tab.ip(t, fmt.Sprintf("route del %s/%d dev duo2", peer, bits))
		tab.becomes("stays", q, func(a Answer) bool { return a.State == Elsewhere })
		tab.ip(t, fmt.Sprintf("route add %s/%d dev duo2", peer, bits))
		tab.becomes("crosses again", q, crosses)
	}
}
