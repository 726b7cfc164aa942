// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// patience bounds the wait for what must happen.
const patience = 10 * time.Second

// table is a Table of a host.
type table struct {
	*Table
	host
	bFar *netnstest.End
	t    *testing.T
}

// newTable makes a host whose neighbours are given up on within a tenth of a
// second, and a Table for it. The test fails if the Table leaves a goroutine.
func newTable(t *testing.T, opts TableOptions) *table {
	t.Helper()
	netnstest.CheckFDs(t)
	h := host{ns: netnstest.New(t)}
	h.a, h.aFar = h.wire(t, "a", "10.0.0.1/24", "fd00:a::1/64")
	b, bFar := h.wire(t, "b", "10.1.0.1/24", "fd00:b::1/64")
	h.b = b
	for _, family := range []string{"ipv4", "ipv6"} {
		for _, link := range []string{"a", "b"} {
			h.ns.Sysctl(t, "net/"+family+"/neigh/"+link+"/retrans_time_ms", "30")
		}
	}
	tab := h.table(t, opts)
	tab.bFar = bFar
	return tab
}

func (h host) table(t *testing.T, opts TableOptions) *table {
	t.Helper()
	before := runtime.NumGoroutine()
	var made *Table
	h.ns.Do(t, func() (err error) {
		made, err = NewTable(opts)
		return err
	})
	t.Cleanup(func() {
		made.Close()
		wantNoMoreGoroutines(t, before)
	})
	return &table{Table: made, host: h, t: t}
}

// wantNoMoreGoroutines waits for those that have done their work and are about
// to end.
func wantNoMoreGoroutines(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, were %d", runtime.NumGoroutine(), before)
		}
	}
}

// to is a query for a peer, with both interfaces.
func (tab *table) to(remote string) *Query {
	return &Query{Remote: netip.AddrPortFrom(netip.MustParseAddr(remote), 443), Interfaces: []int{tab.a.Index, tab.b.Index}}
}

// from is a query with a source.
func (tab *table) from(local, remote string) *Query {
	q := tab.to(remote)
	q.Local = netip.AddrPortFrom(netip.MustParseAddr(local), 4433)
	return q
}

// await returns the one answer that Await gives.
func (tab *table) await(q *Query) Answer {
	tab.t.Helper()
	return <-tab.expect(q)
}

// expect makes sure that the answer comes, and comes once.
func (tab *table) expect(q *Query) <-chan Answer {
	tab.t.Helper()
	answers := make(chan Answer, 1)
	var calls atomic.Int32
	err := tab.Await(q, func(a Answer) {
		if calls.Add(1); calls.Load() > 1 {
			tab.t.Errorf("called %d times", calls.Load())
			return
		}
		answers <- a
	})
	if err != nil {
		tab.t.Fatal(err)
	}
	tab.t.Cleanup(func() {
		if calls.Load() == 0 {
			tab.t.Errorf("not called for %v", q.Remote)
		}
	})
	return answers
}

// resolve returns an answer that is not pending: what Resolve says at once, or
// what Await brings.
func (tab *table) resolve(q *Query) Answer {
	tab.t.Helper()
	if a := tab.Resolve(q); a.State != Pending {
		return a
	}
	return tab.await(q)
}

// want checks an answer, of which only what the test is about is given:
// state, interface, source, next hop.
func (tab *table) want(a Answer, state State, index int, source, nextHop string) {
	tab.t.Helper()
	got := fmt.Sprint(a.State, a.Index, a.Source, a.NextHop)
	if want := fmt.Sprint(state, index, netip.MustParseAddr(source), netip.MustParseAddr(nextHop)); got != want {
		tab.t.Errorf("got %s (%v), want %s", got, a.Err, want)
	}
	if (a.Err != nil) != (a.State == Unreachable) || (a.MAC != [6]byte{}) != (a.State == Known) {
		tab.t.Errorf("inconsistent: %+v", a)
	}
}

// becomes waits until Resolve gives a certain answer, and asks for each anew
// when the generation has changed.
func (tab *table) becomes(what string, q *Query, ok func(Answer) bool) Answer {
	tab.t.Helper()
	var last Answer
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if last = tab.Resolve(q); ok(last) {
			return last
		}
	}
	tab.t.Fatalf("did not happen: %s; last answer: %+v", what, last)
	return last
}

func macOf(t *testing.T, end *netnstest.End) (mac [6]byte) {
	t.Helper()
	end.NS.Do(t, func() error {
		link, err := net.InterfaceByName(end.Name)
		if err == nil {
			mac = [6]byte(link.HardwareAddr)
		}
		return err
	})
	return mac
}

func TestResolve(t *testing.T) {
	const a, b, lo = 1, 2, 3
	for _, test := range []struct {
		name, setup     string
		remote, local   string
		state           State
		index           int // a, b or lo
		source, nextHop string
	}{
		{"neighbour", "", "10.0.0.2", "", Known, a, "10.0.0.1", "10.0.0.2"},
		{"neighbour, IPv6", "", "fd00:b::2", "", Known, b, "fd00:b::1", "fd00:b::2"},
		{"mapped", "", "::ffff:10.0.0.2", "", Known, a, "10.0.0.1", "10.0.0.2"},
		{"any source", "", "10.0.0.2", "0.0.0.0", Known, a, "10.0.0.1", "10.0.0.2"},
		{"any source, IPv6", "", "fd00:a::2", "::", Known, a, "fd00:a::1", "fd00:a::2"},
		{"mapped source", "", "::ffff:10.0.0.2", "::ffff:10.0.0.1", Known, a, "10.0.0.1", "10.0.0.2"},
		{"gateway", "route add default via 10.1.0.2", "8.8.8.8", "", Known, b, "10.1.0.1", "10.1.0.2"},
		{"gateway, IPv6", "-6 route add default via fd00:a::2", "2001:db8::1", "", Known, a, "fd00:a::1", "fd00:a::2"},
		{"gateway of the other family", "-4 route add default via inet6 fd00:b::2 dev b", "8.8.8.8", "", Known, b, "10.1.0.1", "fd00:b::2"},
		{"metric", `
			route add default via 10.0.0.2 metric 20
			route add default via 10.1.0.2 metric 10`, "8.8.8.8", "", Known, b, "10.1.0.1", "10.1.0.2"},
		{"metric, IPv6", `
			-6 route add default via fd00:a::2 metric 10
			-6 route add default via fd00:b::2 metric 20`, "2001:db8::1", "", Known, a, "fd00:a::1", "fd00:a::2"},
		{"longest prefix before metric", `
			route add default via 10.0.0.2 metric 1
			route add 8.8.0.0/16 via 10.1.0.2 metric 99`, "8.8.8.8", "", Known, b, "10.1.0.1", "10.1.0.2"},
		{"source of the route", `
			addr add 10.9.9.9/32 dev a
			route add default via 10.0.0.2 src 10.9.9.9`, "8.8.8.8", "", Known, a, "10.9.9.9", "10.0.0.2"},
		{"second address", "addr add 10.0.0.77/24 dev a", "10.0.0.2", "10.0.0.77", Known, a, "10.0.0.77", "10.0.0.2"},
		{"address of another interface", "", "10.0.0.2", "10.1.0.1", Known, a, "10.1.0.1", "10.0.0.2"},
		{"rule by source", `
			route add default via 10.0.0.2
			route add default via 10.1.0.2 table 100
			rule add from 10.1.0.1 table 100`, "8.8.8.8", "10.1.0.1", Known, b, "10.1.0.1", "10.1.0.2"},
		{"rule by another source", `
			route add default via 10.0.0.2
			route add default via 10.1.0.2 table 100
			rule add from 10.1.0.1 table 100`, "8.8.8.8", "10.0.0.1", Known, a, "10.0.0.1", "10.0.0.2"},
		{"rule by source, IPv6", `
			-6 route add default via fd00:a::2
			-6 route add default via fd00:b::2 table 100
			-6 rule add from fd00:b::1 table 100`, "2001:db8::1", "fd00:b::1", Known, b, "fd00:b::1", "fd00:b::2"},
		{"rule by port and protocol", `
			route add default via 10.0.0.2
			route add default via 10.1.0.2 table 100
			rule add ipproto udp dport 443 sport 4433 table 100`, "8.8.8.8", "10.1.0.1", Known, b, "10.1.0.1", "10.1.0.2"},
		{"rule by port of others", `
			route add default via 10.0.0.2
			route add default via 10.1.0.2 table 100
			rule add ipproto udp dport 444 table 100
			rule add ipproto tcp dport 443 table 100`, "8.8.8.8", "", Known, a, "10.0.0.1", "10.0.0.2"},
		{"this host", "", "10.0.0.1", "", Elsewhere, lo, "10.0.0.1", "10.0.0.1"},
		{"this host, IPv6", "", "fd00:a::1", "", Elsewhere, lo, "fd00:a::1", "fd00:a::1"},
		{"this host, from another address", "", "10.0.0.1", "10.1.0.1", Elsewhere, lo, "10.1.0.1", "10.0.0.1"},
		{"loopback", "", "127.0.0.1", "", Elsewhere, lo, "127.0.0.1", "127.0.0.1"},
		{"loopback, IPv6", "", "::1", "", Elsewhere, lo, "::1", "::1"},
		// A default route by another interface is no reason to send one's own
		// datagrams out.
		{"this host with default route", `
			route add default via 10.1.0.2
			-6 route add default via fd00:b::2`, "10.0.0.1", "", Elsewhere, lo, "10.0.0.1", "10.0.0.1"},
		{"this host with default route, IPv6", "-6 route add default via fd00:b::2", "fd00:a::1", "", Elsewhere, lo, "fd00:a::1", "fd00:a::1"},
		{"broadcast", "", "10.0.0.255", "", Elsewhere, a, "10.0.0.1", "10.0.0.255"},
		{"multicast", "route add 224.0.0.0/4 dev a", "224.1.2.3", "", Elsewhere, a, "10.0.0.1", "224.1.2.3"},
		{"tunnel", "route add 8.8.8.8 encap ip id 5 dst 10.0.0.2 dev a", "8.8.8.8", "", Elsewhere, a, "10.0.0.1", "8.8.8.8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tab := newTable(t, TableOptions{})
			tab.ip(t, test.setup)
			q := tab.to(test.remote)
			if test.local != "" {
				q = tab.from(test.local, test.remote)
			}
			index := map[int]int{a: tab.a.Index, b: tab.b.Index, lo: 1}[test.index]
			tab.want(tab.resolve(q), test.state, index, test.source, test.nextHop)
			if test.state == Known {
				got := tab.Resolve(q) // at once, now that it is known
				tab.want(got, Known, index, test.source, test.nextHop)
				near, far := tab.a, tab.aFar
				if test.index == b {
					near, far = tab.b, tab.bFar
				}
				if got.SourceMAC != macOf(t, near) || got.MAC != macOf(t, far) {
					t.Errorf("addresses %x, %x", got.SourceMAC, got.MAC)
				}
			}
		})
	}
}

func TestResolveUnreachable(t *testing.T) {
	tab := newTable(t, TableOptions{})
	tab.ip(t, `
		route add unreachable 10.5.0.0/16
		route add prohibit 10.6.0.0/16
		-6 route add blackhole fd05::/16`)
	linkLocal := func(scope int) *Query {
		q := tab.to("fe80::99")
		q.Scope = scope
		return q
	}
	for _, test := range []struct {
		name string
		q    *Query
		want error
	}{
		{"no route", tab.to("8.8.8.8"), unix.ENETUNREACH},
		{"no route, IPv6", tab.to("2001:db8::1"), unix.ENETUNREACH},
		{"unreachable", tab.to("10.5.0.1"), unix.EHOSTUNREACH},
		{"prohibit", tab.to("10.6.0.1"), unix.EACCES},
		{"blackhole", tab.to("fd05::1"), unix.EINVAL},
		{"no address", &Query{}, unix.EINVAL},
		{"unspecified", tab.to("0.0.0.0"), unix.EINVAL},
		{"both families", tab.from("10.0.0.1", "fd00:a::2"), unix.EINVAL},
		{"foreign source", tab.from("10.0.0.99", "10.0.0.2"), unix.EADDRNOTAVAIL},
		{"foreign source, IPv6", tab.from("fd00:a::99", "fd00:a::2"), unix.EADDRNOTAVAIL},
		{"link-local without interface", linkLocal(0), unix.EINVAL},
		{"link-local on no interface", linkLocal(99), unix.ENETUNREACH},
	} {
		a := tab.resolve(test.q)
		if a.State != Unreachable || !errors.Is(a.Err, test.want) {
			t.Errorf("%s: %v, %v; want %v", test.name, a.State, a.Err, test.want)
		}
	}
}

func TestResolveLinkLocal(t *testing.T) {
	tab := newTable(t, TableOptions{})
	for _, near := range []*netnstest.End{tab.a, tab.b} {
		far := map[*netnstest.End]*netnstest.End{tab.a: tab.aFar, tab.b: tab.bFar}[near]
		far.NS.Run(t, "ip", "-6", "addr", "add", "fe80::99/64", "dev", far.Name, "nodad")
		near.NS.Run(t, "ip", "-6", "addr", "add", "fe80::11/64", "dev", near.Name, "nodad")
		q := tab.from("fe80::11", "fe80::99")
		q.Scope = near.Index
		a := tab.resolve(q)
		tab.want(a, Known, near.Index, "fe80::11", "fe80::99")
		if a.MAC != macOf(t, far) {
			t.Errorf("%s: %x", near.Name, a.MAC)
		}
	}
}

func TestResolveOtherInterface(t *testing.T) {
	tab := newTable(t, TableOptions{})
	q := tab.to("10.0.0.2")
	for _, test := range []struct {
		interfaces []int
		state      State
	}{
		{nil, Elsewhere},
		{[]int{tab.b.Index}, Elsewhere},
		{[]int{tab.b.Index, tab.a.Index}, Known},
		{[]int{99}, Elsewhere},
	} {
		q.Interfaces = test.interfaces
		tab.want(tab.resolve(q), test.state, tab.a.Index, "10.0.0.1", "10.0.0.2")
	}
}

// The kernel's own choice among the paths of a multipath route, for each flow.
func TestResolveMultipath(t *testing.T) {
	for _, policy := range []string{"0", "1"} { // by address, by address and port
		t.Run("policy "+policy, func(t *testing.T) {
			tab := newTable(t, TableOptions{})
			tab.ip(t, `
				route add default nexthop via 10.0.0.2 nexthop via 10.1.0.2
				-6 route add default nexthop via fd00:a::2 nexthop via fd00:b::2`)
			tab.ns.Sysctl(t, "net/ipv4/fib_multipath_hash_policy", policy)
			tab.ns.Sysctl(t, "net/ipv6/fib_multipath_hash_policy", policy)
			for _, peers := range []string{"8.8.8.%d", "2001:db8::%x"} {
				byIndex := make(map[int]int)
				for i := range 60 {
					q := tab.to(fmt.Sprintf(peers, 1))
					if policy == "0" {
						q = tab.to(fmt.Sprintf(peers, i+1))
					} else {
						q.Remote = netip.AddrPortFrom(q.Remote.Addr(), uint16(i+1))
					}
					got := tab.Resolve(q)
					tab.ns.Do(t, func() error {
						src, index, err := LocalAddressFor(q.Remote.Addr(), LookupOptions{Port: q.Remote.Port()})
						if index != got.Index || src != got.Source {
							t.Errorf("%v: interface %d, source %v; the kernel says %d, %v", q.Remote, got.Index, got.Source, index, src)
						}
						return err
					})
					byIndex[got.Index]++
				}
				if min(byIndex[tab.a.Index], byIndex[tab.b.Index]) < 10 {
					t.Errorf("%s: flows by interface: %v", peers, byIndex)
				}
			}
		})
	}
}

// When there are too many, the Table starts anew, and forgets nobody.
func TestResolveMany(t *testing.T) {
	tab := newTable(t, TableOptions{})
	tab.limit = 20
	tab.ip(t, "route add default via 10.0.0.2")
	var waiting []<-chan Answer
	for i := range 100 {
		q := tab.to(fmt.Sprintf("8.8.8.%d", i))
		if tab.Resolve(q).State == Pending {
			waiting = append(waiting, tab.expect(q))
		}
		dead := tab.to(fmt.Sprintf("10.1.0.%d", 100+i))
		tab.want(tab.Resolve(dead), Pending, tab.b.Index, "10.1.0.1", dead.Remote.Addr().String())
		waiting = append(waiting, tab.expect(dead))
	}
	for _, answers := range waiting {
		if a := <-answers; a.State != Known && !errors.Is(a.Err, ErrNeighbour) {
			t.Errorf("%+v", a)
		}
	}
	if n := len(tab.ways); n > 20 {
		t.Errorf("%d ways", n)
	}
}

func TestResolveAllocatesNothing(t *testing.T) {
	tab := newTable(t, TableOptions{})
	q := tab.from("10.0.0.1", "10.0.0.2")
	tab.resolve(q)
	if n := testing.AllocsPerRun(1000, func() {
		if tab.Resolve(q).State != Known {
			t.Fail()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
