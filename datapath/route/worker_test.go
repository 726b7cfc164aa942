// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// through waits until datagrams go by an interface and next hop.
func (tab *table) through(q *Query, index int, source, nextHop string) {
	tab.t.Helper()
	want := fmt.Sprintf("%d %s %s", index, source, nextHop)
	tab.becomes(want, q, func(a Answer) bool {
		return a.State >= Pending && fmt.Sprintf("%d %v %v", a.Index, a.Source, a.NextHop) == want
	})
}

func TestFollowsChanges(t *testing.T) {
	tab := newTable(t, TableOptions{})
	a, b := tab.a.Index, tab.b.Index
	q, q6 := tab.to("8.8.8.8"), tab.to("2001:db8::1")
	for _, step := range []struct {
		commands        string
		q               *Query
		index           int
		source, nextHop string
	}{
		{"route add default via 10.0.0.2 metric 10", q, a, "10.0.0.1", "10.0.0.2"},
		{"route add default via 10.1.0.2 metric 5", q, b, "10.1.0.1", "10.1.0.2"},
		{"route add 8.0.0.0/8 via 10.0.0.3", q, a, "10.0.0.1", "10.0.0.3"},
		{"route change 8.0.0.0/8 via 10.0.0.4", q, a, "10.0.0.1", "10.0.0.4"},
		{"route del 8.0.0.0/8", q, b, "10.1.0.1", "10.1.0.2"},
		{"route add default via 10.0.0.5 table 100\n rule add to 8.8.8.8 table 100", q, a, "10.0.0.1", "10.0.0.5"},
		{"rule del to 8.8.8.8 table 100", q, b, "10.1.0.1", "10.1.0.2"},
		{"nexthop add id 7 via 10.0.0.6 dev a\n route add 8.0.0.0/8 nhid 7", q, a, "10.0.0.1", "10.0.0.6"},
		{"nexthop replace id 7 via 10.0.0.7 dev a", q, a, "10.0.0.1", "10.0.0.7"},
		{"nexthop del id 7", q, b, "10.1.0.1", "10.1.0.2"},                                        // takes the route along without saying so
		{"addr del 10.1.0.1/24 dev b\n addr add 10.1.0.9/24 dev b", q, a, "10.0.0.1", "10.0.0.2"}, // likewise
		{"route add default via 10.1.0.2 metric 5", q, b, "10.1.0.9", "10.1.0.2"},
		{"link set dev b down", q, a, "10.0.0.1", "10.0.0.2"}, // likewise
		{"link set dev b up\n -6 addr add fd00:b::1/64 dev b nodad\n route add default via 10.1.0.2 metric 5", q, b, "10.1.0.9", "10.1.0.2"},
		{"link set dev b name c", q, b, "10.1.0.9", "10.1.0.2"},
		{"-6 route add default via fd00:a::2 metric 10", q6, a, "fd00:a::1", "fd00:a::2"},
		{"-6 route add default via fd00:b::2 metric 5", q6, b, "fd00:b::1", "fd00:b::2"},
		{"-6 addr add fd00:b::7/64 dev c nodad preferred_lft 0", q6, b, "fd00:b::1", "fd00:b::2"},
		{"-6 route replace default via fd00:b::3 metric 5", q6, b, "fd00:b::1", "fd00:b::3"},
		{"link del dev c", q6, a, "fd00:a::1", "fd00:a::2"},
		{"link show", q, a, "10.0.0.1", "10.0.0.2"},
	} {
		tab.ip(t, step.commands)
		tab.through(step.q, step.index, step.source, step.nextHop)
	}
	tab.ip(t, "link del dev a")
	for _, q := range []*Query{q, q6} {
		tab.becomes("nothing left", q, func(a Answer) bool { return errors.Is(a.Err, unix.ENETUNREACH) })
	}
}

func TestFollowsSettings(t *testing.T) {
	tab := newTable(t, TableOptions{})
	tab.ip(t, "route add default via 10.0.0.2 metric 10\n route add default via 10.1.0.2 metric 5")
	q := tab.to("8.8.8.8")
	tab.through(q, tab.b.Index, "10.1.0.1", "10.1.0.2")
	tab.bFar.NS.Run(t, "ip", "link", "set", "dev", tab.bFar.Name, "down")
	tab.eventually(t, "b has no carrier", func() (bool, error) {
		all, err := tab.Table.LocalAddresses()
		return slices.ContainsFunc(all, func(a Adapter) bool { return a.Index == tab.b.Index && a.Status != OperUp }), err
	})
	tab.through(q, tab.b.Index, "10.1.0.1", "10.1.0.2")
	tab.ns.Sysctl(t, "net/ipv4/conf/all/ignore_routes_with_linkdown", "1")
	tab.through(q, tab.a.Index, "10.0.0.1", "10.0.0.2")
}

func TestFollowsOwnAddress(t *testing.T) {
	tab := newTable(t, TableOptions{})
	q := tab.to("10.0.0.2")
	tab.resolve(q)
	tab.ip(t, "link set dev a address 02:00:00:00:03:01")
	tab.becomes("new source MAC", q, func(a Answer) bool { return a.SourceMAC == [6]byte{2, 0, 0, 0, 3, 1} })
}

// The next hop is lost with the interface, and found again.
func TestFollowsLinkDownAndUp(t *testing.T) {
	tab := newTable(t, TableOptions{})
	q := tab.to("10.0.0.2")
	for range 3 {
		tab.becomes("known", q, func(a Answer) bool { return a.State == Known })
		tab.ip(t, "link set dev a down")
		tab.becomes("lost", q, func(a Answer) bool { return a.State == Unreachable })
		tab.ip(t, "link set dev a up")
	}
}

// Who waits for one next hop is told of another one when the route changes.
func TestAwaitFollowsChanges(t *testing.T) {
	tab := newTable(t, TableOptions{})
	tab.neverFail()
	tab.ip(t, "route add default via 10.0.0.77")
	q := tab.to("8.8.8.8")
	tab.want(tab.Resolve(q), Pending, tab.a.Index, "10.0.0.1", "10.0.0.77")
	answers := tab.expect(q)
	wantPending(t, answers)
	tab.ip(t, "route replace default via 10.1.0.2")
	tab.want(<-answers, Known, tab.b.Index, "10.1.0.1", "10.1.0.2")

	tab.ip(t, "route replace default via 10.0.0.78")
	tab.becomes("back", q, func(a Answer) bool { return a.State == Pending })
	answers = tab.expect(q)
	tab.ip(t, "route del default")
	if a := <-answers; !errors.Is(a.Err, unix.ENETUNREACH) {
		t.Errorf("%+v", a)
	}

	tab.ip(t, "route add default via 10.0.0.79")
	tab.becomes("back", q, func(a Answer) bool { return a.State == Pending })
	answers = tab.expect(q)
	tab.ip(t, "link del dev a")
	if a := <-answers; a.State != Unreachable {
		t.Errorf("%+v", a)
	}
}

func TestChanged(t *testing.T) {
	changed := make(chan struct{}, 1)
	var tab *table
	tab = newTable(t, TableOptions{Changed: func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}})
	for _, command := range []string{"addr add 10.0.0.9/24 dev a", "-6 addr add fd00:a::9/64 dev a", "addr del 10.0.0.9/24 dev a", "link add name c type veth peer name d", "link set dev c up", "link del dev c"} {
		for len(changed) > 0 {
			<-changed
		}
		tab.ip(t, command)
		<-changed
		if all, err := tab.Table.LocalAddresses(); err != nil || len(all) == 0 {
			t.Errorf("%v, %v", all, err)
		}
	}
}

// Whatever happens, in which order, while others keep asking: in the end the
// Table says what the kernel says.
func TestAgreesWithKernel(t *testing.T) {
	tab := newTable(t, TableOptions{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var queries []*Query
	for _, remote := range []string{"10.0.0.2", "10.1.0.2", "8.8.8.8", "fd00:a::2", "fd00:b::2", "2001:db8::1"} {
		queries = append(queries, tab.to(remote))
	}
	queries = append(queries, tab.from("10.0.0.1", "8.8.8.8"), tab.from("fd00:b::1", "2001:db8::1"))
	var stop atomic.Bool
	var askers sync.WaitGroup
	askers.Go(func() {
		for ; !stop.Load(); time.Sleep(50 * time.Microsecond) {
			tab.Resolve(queries[rand.IntN(len(queries))])
		}
	})
	defer askers.Wait()
	defer stop.Store(true)
	commands := []string{
		"link set dev a down", "link set dev b down", "link set dev a up", "link set dev b up",
		"addr del 10.0.0.1/24 dev a", "addr add 10.0.0.1/24 dev a", "-6 addr del fd00:b::1/64 dev b", "-6 addr add fd00:b::1/64 dev b nodad",
		"route replace default via 10.0.0.2 metric 1", "route replace default via 10.1.0.2 metric 2", "route del default",
		"-6 route replace default via fd00:a::2 metric 1", "-6 route replace default via fd00:b::2 metric 2", "-6 route del default",
		"rule add from 10.0.0.1 unreachable", "rule del from 10.0.0.1 unreachable",
		"nexthop replace id 1 via 10.1.0.2 dev b", "route replace 8.0.0.0/8 nhid 1", "nexthop del id 1",
	}
	tab.ns.Do(t, func() error {
		return withConn(func(c *conn) error {
			for range 40 {
				var done []string
				for range 1 + random.IntN(3) {
					command := commands[random.IntN(len(commands))]
					exec.Command("ip", strings.Fields(command)...).Run() // may be refused
					done = append(done, command)
				}
				for _, q := range queries {
					if err := tab.agrees(c, q); err != nil {
						return fmt.Errorf("after %q: %w", done, err)
					}
				}
			}
			return nil
		})
	})
}

// agrees waits until the Table says what one would that knew nothing yet.
func (tab *table) agrees(c *conn, q *Query) error {
	var got, want string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		a, w := tab.Resolve(q), newState(c).find(q, q.flow())
		got = fmt.Sprint(a.Err != nil, a.Index, a.Source, a.NextHop)
		want = fmt.Sprint(w.err != nil, w.index, w.source, w.nextHop)
		if got == want {
			return nil
		}
	}
	return fmt.Errorf("%v from %v: %s, the kernel says %s", q.Remote, q.Local, got, want)
}

// When the kernel announces more than the socket holds, nothing stays wrong.
func TestOverrun(t *testing.T) {
	var changes atomic.Int32
	tab := newTable(t, TableOptions{Changed: func() { changes.Add(1) }})
	tab.neverFail()
	tab.ip(t, "route add default via 10.0.0.2")
	q, late := tab.to("8.8.8.8"), tab.to("10.0.0.77")
	mac := tab.resolve(q).MAC
	tab.want(tab.Resolve(late), Pending, tab.a.Index, "10.0.0.1", "10.0.0.77")
	answers := tab.expect(late)
	tab.overrun(func() {
		tab.ip(t, `
			link set dev a address 02:00:00:00:00:11
			neigh replace 10.0.0.77 lladdr 02:00:00:00:00:77 dev a nud reachable
			neigh replace 10.0.0.2 lladdr 02:00:00:00:00:22 dev a nud reachable`)
	})
	if a := <-answers; a.State != Known || a.MAC != [6]byte{2, 0, 0, 0, 0, 0x77} {
		t.Errorf("%+v", a)
	}
	tab.becomes("new addresses", q, func(a Answer) bool {
		return a.State == Known && a.MAC != mac && a.SourceMAC == [6]byte{2, 0, 0, 0, 0, 0x11}
	})
	tab.overrun(func() { tab.ip(t, "route replace default via 10.1.0.2") })
	tab.through(q, tab.b.Index, "10.1.0.1", "10.1.0.2")
	if changes.Load() == 0 {
		t.Error("nobody was told")
	}
}

// overrun makes changes whose announcements are lost: the listener is held up
// while the socket fills, and the changes come last.
func (tab *table) overrun(changes func()) {
	tab.t.Helper()
	socket, err := tab.events.SyscallConn()
	if err != nil {
		tab.t.Fatal(err)
	}
	if err := socket.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
			tab.t.Error(err)
		}
	}); err != nil {
		tab.t.Fatal(err)
	}
	tab.agenda.mu.Lock()
	for i := range 20 {
		tab.ip(tab.t, fmt.Sprintf("route add 10.200.%d.0/24 dev b", i))
	}
	changes()
	tab.agenda.mu.Unlock()
	tab.ip(tab.t, "route flush root 10.200.0.0/16")
}

func TestClose(t *testing.T) {
	tab := newTable(t, TableOptions{})
	tab.neverFail()
	q, known := tab.to("10.0.0.77"), tab.to("10.0.0.2")
	tab.resolve(known)
	tab.Resolve(q)
	var calls [10]atomic.Int32
	for i := range calls {
		if err := tab.Await(q, func(a Answer) {
			calls[i].Add(1)
			if a.State != Unreachable || !errors.Is(a.Err, ErrClosed) {
				t.Errorf("%+v", a)
			}
			if err := tab.Await(q, nil); !errors.Is(err, ErrClosed) {
				t.Errorf("another one: %v", err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if i == len(calls)/2 {
			tab.await(tab.to("10.1.0.2")) // half of them wait, half are on the agenda
		}
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(tab.Close)
	}
	both.Wait()
	for i := range calls {
		if n := calls[i].Load(); n != 1 {
			t.Errorf("called %d times", n)
		}
	}
	for _, a := range []Answer{tab.Resolve(known), tab.Resolve(q), tab.Reverify(known, [6]byte{})} {
		if a.State != Unreachable || !errors.Is(a.Err, ErrClosed) {
			t.Errorf("%+v", a)
		}
	}
	if _, err := tab.Table.LocalAddresses(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// The functions that the Table calls may use it.
func TestCalledWithoutLocks(t *testing.T) {
	var tab *table
	ready, done := make(chan struct{}), make(chan struct{})
	tab = newTable(t, TableOptions{Changed: func() {
		<-ready
		tab.use()
	}})
	close(ready)
	tab.ip(t, "addr add 10.0.0.9/24 dev a")
	if err := tab.Await(tab.to("10.0.0.77"), func(Answer) {
		tab.use()
		close(done)
	}); err != nil {
		t.Fatal(err)
	}
	<-done
}

func (tab *table) use() {
	q := tab.to("10.0.0.2")
	tab.Reverify(q, tab.Resolve(q).MAC)
	tab.Generation()
	if _, err := tab.Table.LocalAddresses(); err != nil {
		tab.t.Error(err)
	}
	if err := tab.Await(q, func(Answer) {}); err != nil && !errors.Is(err, ErrClosed) {
		tab.t.Error(err)
	}
}

// Tables of several namespaces, used on threads of others.
func TestTablesOfSeveralNamespaces(t *testing.T) {
	first := newTable(t, TableOptions{})
	other := host{ns: netnstest.New(t)}
	other.a, other.aFar = other.wire(t, "a", "10.0.0.51/24")
	second := other.table(t, TableOptions{})
	second.b = other.a
	q1, q2 := first.to("10.0.0.2"), second.to("10.0.0.52")
	first.want(first.resolve(q1), Known, first.a.Index, "10.0.0.1", "10.0.0.2")
	second.want(second.resolve(q2), Known, other.a.Index, "10.0.0.51", "10.0.0.52")
	second.ip(t, "addr add 10.7.0.1/24 dev a")
	second.becomes("its own routes", second.to("10.7.0.2"), func(a Answer) bool { return a.Source == netip.MustParseAddr("10.7.0.1") })
	first.want(first.resolve(q1), Known, first.a.Index, "10.0.0.1", "10.0.0.2")
}
