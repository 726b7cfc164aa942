// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// neverFail lets the kernel ask neighbours of interface a for longer than a
// test lasts.
func (tab *table) neverFail() {
	for _, family := range []string{"ipv4", "ipv6"} {
		tab.ns.Sysctl(tab.t, "net/"+family+"/neigh/a/mcast_solicit", "100000")
	}
}

// wantPending checks that nothing has come.
func wantPending(t *testing.T, answers <-chan Answer) {
	t.Helper()
	select {
	case a := <-answers:
		t.Errorf("came too early: %+v", a)
	default:
	}
}

// state asks the kernel for the state of a neighbour of interface a.
func (tab *table) state(ip string) (state uint16) {
	tab.t.Helper()
	tab.ns.Do(tab.t, func() error {
		return withConn(func(c *conn) (err error) {
			state, _, err = c.askNeighbour(neighbourKey{tab.a.Index, tab.to(ip).Remote.Addr()})
			return err
		})
	})
	return state
}

// families are a peer of interface a that is there and one that is not.
var families = []struct{ name, peer, absent, prefix string }{
	{"IPv4", "10.0.0.2", "10.0.0.77", "24"},
	{"IPv6", "fd00:a::2", "fd00:a::77", "64"},
}

func TestNeighbourStatic(t *testing.T) {
	tab := newTable(t, TableOptions{})
	for i, f := range families {
		mac := [6]byte{0x22, 0x22, 0x22, 0x22, 0, byte(i)}
		tab.ip(t, fmt.Sprintf("neigh add %s lladdr 22:22:22:22:00:%02x dev a nud permanent", f.absent, i))
		for name, a := range map[string]Answer{"Resolve": tab.Resolve(tab.to(f.absent)), "Await": tab.await(tab.to(f.absent)), "Reverify": tab.Reverify(tab.to(f.absent), mac)} {
			if a.State != Known || a.MAC != mac {
				t.Errorf("%s, %s: %+v", f.name, name, a)
			}
		}
		if state := tab.state(f.absent); state != unix.NUD_PERMANENT {
			t.Errorf("%s: state %#x afterwards", f.name, state)
		}
	}
}

func TestNeighbourAppearsLate(t *testing.T) {
	tab := newTable(t, TableOptions{})
	tab.neverFail()
	for _, f := range families {
		q := tab.to(f.absent)
		if a := tab.Resolve(q); a.State != Pending || a.SourceMAC != macOf(t, tab.a) || a.Index != tab.a.Index {
			t.Fatalf("%+v", a)
		}
		other := tab.to(f.absent) // another flow to the same neighbour
		other.Remote = netip.AddrPortFrom(q.Remote.Addr(), 444)
		first, second := tab.expect(q), tab.expect(other)
		wantPending(t, first)
		tab.aFar.NS.Run(t, "ip", "addr", "add", f.absent+"/"+f.prefix, "dev", tab.aFar.Name, "nodad")
		for _, answers := range []<-chan Answer{first, second} {
			if a := <-answers; a.State != Known || a.MAC != macOf(t, tab.aFar) {
				t.Errorf("%s: %+v", f.name, a)
			}
		}
		if a := tab.Resolve(q); a.State != Known {
			t.Errorf("%s: %+v", f.name, a)
		}
	}
}

// Each try is a new one, as if the kernel sent.
func TestNeighbourFails(t *testing.T) {
	tab := newTable(t, TableOptions{})
	for _, f := range families {
		q := tab.to(f.absent)
		for range 2 {
			tab.want(tab.Resolve(q), Pending, tab.a.Index, tab.Resolve(q).Source.String(), f.absent)
			if a := tab.await(q); a.State != Unreachable || !errors.Is(a.Err, ErrNeighbour) {
				t.Errorf("%s: %+v", f.name, a)
			}
		}
	}
}

// A neighbour that the kernel gave up on before is asked again.
func TestNeighbourHasFailedBefore(t *testing.T) {
	tab := newTable(t, TableOptions{})
	q := tab.to("10.0.0.77")
	if a := tab.resolve(q); !errors.Is(a.Err, ErrNeighbour) {
		t.Fatalf("%+v", a)
	}
	tab.aFar.NS.Run(t, "ip", "addr", "add", "10.0.0.77/24", "dev", tab.aFar.Name)
	for _, other := range []*table{tab, {Table: tab.table(t, TableOptions{}).Table, host: tab.host, t: t}} {
		if a := other.resolve(q); a.State != Known {
			t.Errorf("%+v", a)
		}
	}
}

func TestNeighbourChangesAddress(t *testing.T) {
	tab := newTable(t, TableOptions{})
	for i, f := range families {
		q := tab.to(f.peer)
		tab.resolve(q)
		mac := [6]byte{2, 0, 0, 0, 1, byte(i)}
		before := tab.Generation()
		tab.ip(t, fmt.Sprintf("neigh replace %s lladdr 02:00:00:00:01:%02x dev a nud reachable", f.peer, i))
		tab.becomes("new address", q, func(a Answer) bool { return a.State == Known && a.MAC == mac })
		if tab.Generation() == before {
			t.Errorf("%s: still generation %d", f.name, before)
		}
		tab.ip(t, fmt.Sprintf("neigh del %s dev a", f.peer))
		tab.becomes("asked again", q, func(a Answer) bool { return a.State == Known && a.MAC == macOf(t, tab.aFar) })
	}
}

// The peer gets another network card, and says nothing of it.
func TestReverifyFindsWhoHasMoved(t *testing.T) {
	tab := newTable(t, TableOptions{})
	for i, f := range families {
		q := tab.to(f.peer)
		old := tab.resolve(q)
		tab.aFar.NS.Run(t, "ip", "link", "set", "dev", tab.aFar.Name, "address", fmt.Sprintf("02:00:00:00:02:%02x", i))
		tab.ip(t, fmt.Sprintf("neigh replace %s lladdr %s dev a nud reachable", f.peer, hardware(old.MAC)))
		if a := tab.Reverify(q, old.MAC); a.State != Pending || a.Source != old.Source {
			t.Fatalf("%s: %+v", f.name, a)
		}
		if a := tab.await(q); a.State != Known || a.MAC != macOf(t, tab.aFar) {
			t.Errorf("%s: %+v", f.name, a)
		}
		// Who still has the old address is told the new one at once.
		if a := tab.Reverify(q, old.MAC); a.State != Known || a.MAC != macOf(t, tab.aFar) {
			t.Errorf("%s: %+v", f.name, a)
		}
	}
}

func hardware(mac [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
}

func TestReverify(t *testing.T) {
	tab := newTable(t, TableOptions{})
	for _, f := range families {
		q := tab.to(f.peer)
		mac := tab.resolve(q).MAC
		for range 3 {
			if a := tab.Reverify(q, mac); a.State != Pending {
				t.Errorf("%s, there: %+v", f.name, a)
			}
			if a := tab.await(q); a.State != Known || a.MAC != mac {
				t.Errorf("%s, there: %+v", f.name, a)
			}
		}
		tab.aFar.NS.Run(t, "ip", "addr", "del", f.peer+"/"+f.prefix, "dev", tab.aFar.Name)
		if a := tab.Reverify(q, mac); a.State != Pending {
			t.Errorf("%s, gone: %+v", f.name, a)
		}
		if a := tab.await(q); a.State != Unreachable || !errors.Is(a.Err, ErrNeighbour) {
			t.Errorf("%s, gone: %+v", f.name, a)
		}
	}
}

func TestReverifyLooksAtRouteAndSource(t *testing.T) {
	tab := newTable(t, TableOptions{})
	tab.ip(t, "addr add 10.0.0.77/24 dev a\n -6 addr add fd00:a::77/64 dev a nodad")
	for _, f := range families {
		q := tab.from(f.absent, f.peer)
		mac := tab.resolve(q).MAC
		tab.ip(t, fmt.Sprintf("addr del %s/%s dev a", f.absent, f.prefix))
		if a := tab.Reverify(q, mac); a.State != Unreachable || !errors.Is(a.Err, unix.EADDRNOTAVAIL) {
			t.Errorf("%s: %+v", f.name, a)
		}
	}
}

// What is sent past the kernel does not tell it that the address is in use.
func TestStaleNeighbourIsChecked(t *testing.T) {
	tab := newTable(t, TableOptions{})
	for _, f := range families {
		q := tab.to(f.peer)
		mac := tab.resolve(q).MAC
		for _, n := range tab.neighbours {
			if n.noted.Load() {
				t.Errorf("%v is still noted", n.key)
			}
		}
		before := tab.Generation()
		tab.ip(t, fmt.Sprintf("neigh replace %s lladdr %s dev a nud stale", f.peer, hardware(mac)))
		tab.becomes("the state changes again", q, func(a Answer) bool {
			if a.State != Known || a.MAC != mac {
				t.Fatalf("%s: %+v", f.name, a)
			}
			return tab.Generation() != before && tab.state(f.peer)&unix.NUD_STALE == 0
		})
	}
}

// One that nobody sends to is left to grow old.
func TestIdleNeighbourIsNotChecked(t *testing.T) {
	tab := newTable(t, TableOptions{})
	mac := tab.resolve(tab.to("10.0.0.2")).MAC
	before := tab.Generation()
	tab.ip(t, fmt.Sprintf("neigh replace 10.0.0.2 lladdr %s dev a nud stale", hardware(mac)))
	for tab.Generation() == before {
		time.Sleep(time.Millisecond)
	}
	tab.await(tab.to("10.1.0.2")) // the worker has done something else since
	if state := tab.state("10.0.0.2"); state != unix.NUD_STALE {
		t.Errorf("state %#x", state)
	}
}

// Everybody is called once, whatever happens meanwhile.
func TestAwaitMany(t *testing.T) {
	tab := newTable(t, TableOptions{})
	tab.ip(t, "route add default via 10.0.0.2")
	stop := make(chan struct{})
	var noise sync.WaitGroup
	noise.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			tab.ip(t, fmt.Sprintf(`
				route replace default via 10.%d.0.2
				neigh flush dev a
				link set dev b down
				link set dev b up`, i%2))
		}
	})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 50 {
				q := tab.to(fmt.Sprintf("10.%d.0.%d", i%2, 2+i%5))
				if i%3 == 0 {
					q = tab.to(fmt.Sprintf("8.8.%d.%d", g, i))
				}
				a := tab.Resolve(q)
				if i%4 == 0 {
					a = tab.Reverify(q, a.MAC)
				}
				a = tab.await(q)
				if a.State != Known && a.State != Unreachable {
					t.Errorf("%v: %+v", q.Remote, a)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	noise.Wait()
}
