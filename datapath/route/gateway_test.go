// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

func TestGateways(t *testing.T) {
	type want struct {
		addr, dev string
		metric    uint32
	}
	for _, test := range []struct {
		name, setup string
		want        []want
	}{
		{"one", "route add default via 10.0.0.2", []want{{"10.0.0.2", "a", 0}}},
		{"IPv6", "-6 route add default via fd00:a::2", []want{{"fd00:a::2", "a", 1024}}},
		{"IPv6 link-local", "-6 route add default via fe80::99 dev b", []want{{"fe80::99", "b", 1024}}},
		{"by family, then metric", `
			-6 route add default via fd00:a::2 metric 2
			-6 route add default via fd00:b::2 metric 1
			route add default via 10.0.0.2 metric 4
			route add default via 10.1.0.2 metric 3`,
			[]want{{"10.1.0.2", "b", 3}, {"10.0.0.2", "a", 4}, {"fd00:b::2", "b", 1}, {"fd00:a::2", "a", 2}}},
		{"multipath", "route add default nexthop via 10.0.0.2 nexthop via 10.1.0.2 nexthop via 10.0.0.3 weight 5",
			[]want{{"10.0.0.2", "a", 0}, {"10.1.0.2", "b", 0}, {"10.0.0.3", "a", 0}}},
		{"IPv6 multipath", "-6 route add default nexthop via fd00:a::2 nexthop via fe80::1 dev b",
			[]want{{"fd00:a::2", "a", 1024}, {"fe80::1", "b", 1024}}},
		{"via the other family", "-4 route add default via inet6 fe80::1 dev a", []want{{"fe80::1", "a", 0}}},
		{"multipath via the other family", "-4 route add default nexthop via 10.0.0.2 nexthop via inet6 fe80::1 dev b",
			[]want{{"10.0.0.2", "a", 0}, {"fe80::1", "b", 0}}},
		{"twice the same", `
			route add default via 10.0.0.2 metric 9
			route add default via 10.0.0.2 metric 7
			route add default via 10.0.0.2 metric 8`, []want{{"10.0.0.2", "a", 7}}},
		{"same address on two links", `
			-6 route add default via fe80::1 dev a
			-6 route add default via fe80::1 dev b metric 2000`,
			[]want{{"fe80::1", "a", 1024}, {"fe80::1", "b", 2000}}},
		{"beside one without gateway", `
			route add default dev a metric 1
			route add default via 10.1.0.2 metric 2`, []want{{"10.1.0.2", "b", 2}}},
		{"high metric", "route add default via 10.0.0.2 metric 4294967295", []want{{"10.0.0.2", "a", 4294967295}}},

		{"none", "", nil},
		{"without gateway", "route add default dev a\n -6 route add default dev a", nil},
		{"not default", "route add 0.0.0.0/1 via 10.0.0.2\n -6 route add ::/1 via fd00:a::2", nil},
		{"unreachable", "route add unreachable default\n -6 route add unreachable default metric 9", nil},
		{"another table", `
			route add default via 10.0.0.2 table 100
			route add default via 10.0.0.2 table 1000
			-6 route add default via fd00:a::2 table 1000`, nil},
		{"gone with its link", `
			route add default via 10.0.0.2
			-6 route add default via fd00:a::2
			link set dev a down`, nil},

		{"nexthop object", `
			nexthop add id 1 via 10.0.0.2 dev a
			route add default nhid 1`, []want{{"10.0.0.2", "a", 0}}},
		{"nexthop group", `
			nexthop add id 1 via 10.0.0.2 dev a
			nexthop add id 2 via fe80::2 dev b
			nexthop add id 3 group 1/2
			route add default nhid 3`, []want{{"10.0.0.2", "a", 0}, {"fe80::2", "b", 0}}},
		{"IPv6 nexthop group", `
			nexthop add id 1 via fd00:a::2 dev a
			nexthop add id 2 via fd00:b::2 dev b
			nexthop add id 3 group 1/2
			-6 route add default nhid 3`, []want{{"fd00:a::2", "a", 1024}, {"fd00:b::2", "b", 1024}}},
		{"nexthop object without gateway", `
			nexthop add id 1 dev a
			route add default nhid 1`, nil},
		{"blackhole nexthop object", `
			nexthop add id 1 blackhole
			route add default nhid 1`, nil},
	} {
		// 1 makes the kernel write nexthop objects out in the route, 0 does not.
		for _, compat := range []string{"1", "0"} {
			t.Run(test.name+"/compat "+compat, func(t *testing.T) {
				h := newHost(t)
				h.ns.Sysctl(t, "net/ipv4/nexthop_compat_mode", compat)
				h.ip(t, test.setup)
				var want []Gateway
				for _, w := range test.want {
					index := map[string]int{"a": h.a.Index, "b": h.b.Index}[w.dev]
					want = append(want, Gateway{netip.MustParseAddr(w.addr), index, w.metric})
				}
				h.wantGateways(t, want)
			})
		}
	}
}

// A hop whose link has no carrier is dead if the administrator says so.
func TestGatewaysLeavesOutDead(t *testing.T) {
	h := newHost(t)
	h.ip(t, "route add default nexthop via 10.0.0.2 nexthop via 10.1.0.2")
	both := []Gateway{
		{netip.MustParseAddr("10.0.0.2"), h.a.Index, 0},
		{netip.MustParseAddr("10.1.0.2"), h.b.Index, 0},
	}
	h.aFar.NS.Run(t, "ip", "link", "set", "dev", h.aFar.Name, "down")
	h.eventually(t, "a has no carrier", func() (bool, error) {
		all, err := LocalAddresses()
		return slices.ContainsFunc(all, func(a Adapter) bool { return a.Index == h.a.Index && a.Status != OperUp }), err
	})
	h.wantGateways(t, both)
	h.ns.Sysctl(t, "net/ipv4/conf/all/ignore_routes_with_linkdown", "1")
	h.wantGateways(t, both[1:])
}

// wantGateways expects ErrNoGateway for an empty list.
func (h host) wantGateways(t *testing.T, want []Gateway) {
	t.Helper()
	h.ns.Do(t, func() error {
		got, err := Gateways()
		if !slices.Equal(got, want) {
			t.Errorf("gateways %+v, want %+v", got, want)
		}
		if len(want) == 0 && !errors.Is(err, ErrNoGateway) || len(want) != 0 && err != nil {
			t.Errorf("error %v", err)
		}
		return nil
	})
}
