// SPDX-License-Identifier: MIT

package route

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// benchTable is a Table of a namespace with a gateway whose address is fixed.
func benchTable(b *testing.B) (*Table, *Query) {
	b.Helper()
	ns := netnstest.New(b)
	near := &netnstest.End{NS: ns, Name: "a", Addrs: netnstest.Prefixes("10.0.0.1/24")}
	netnstest.Veth(b, near, &netnstest.End{NS: netnstest.New(b), Name: "b"})
	ns.Run(b, "ip", "neigh", "add", "10.0.0.2", "lladdr", "02:00:00:00:00:02", "dev", "a", "nud", "permanent")
	ns.Run(b, "ip", "route", "add", "default", "via", "10.0.0.2")
	var t *Table
	ns.Do(b, func() (err error) {
		t, err = NewTable(TableOptions{})
		return err
	})
	b.Cleanup(t.Close)
	return t, &Query{Remote: netip.MustParseAddrPort("8.8.8.8:443"), Local: netip.MustParseAddrPort("10.0.0.1:4433"), Interfaces: []int{near.Index}}
}

func BenchmarkResolve(b *testing.B) {
	t, q := benchTable(b)
	wantKnown := func(b *testing.B, q *Query) {
		if a := t.Resolve(q); a.State != Known {
			b.Fatalf("%+v", a)
		}
	}
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			wantKnown(b, q)
		}
	})
	b.Run("known, many at once", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				wantKnown(b, q)
			}
		})
	})
	b.Run("new flow", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			q := *q
			q.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 8, byte(n >> 8), byte(n)}), uint16(n>>16))
			wantKnown(b, &q)
		}
	})
	b.Run("generation", func(b *testing.B) {
		for b.Loop() {
			if t.Generation() == ^uint64(0) {
				b.Fatal()
			}
		}
	})
}

func BenchmarkNewTable(b *testing.B) {
	for b.Loop() {
		t, err := NewTable(TableOptions{})
		if err != nil {
			b.Fatal(fmt.Errorf("%w", err))
		}
		t.Close()
	}
}
