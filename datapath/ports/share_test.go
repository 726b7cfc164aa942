// SPDX-License-Identifier: MIT

package ports

import (
	"fmt"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// A setting is how a tier is had.
type setting struct {
	rules.Tier
	as who
}

// tiers are the most important ones first.
var tiers = []setting{
	{rules.Owned, who{}},
	{rules.Guarded, who{lacks: []uintptr{unix.CAP_CHOWN}}},
	{rules.Guarded, who{env: []string{TierEnv + "=guarded"}}},
	{rules.Unguarded, who{env: []string{TierEnv + "=unguarded"}}},
}

// eachTier runs a test for each of some tiers, in a room of its own.
func eachTier(t *testing.T, some []setting, f func(t *testing.T, r *room, tier setting)) {
	t.Parallel()
	for i, tier := range some {
		t.Run(fmt.Sprint(i, tier.Tier), func(t *testing.T) { f(t, newRoom(t), tier) })
	}
}

// Processes come, die and come back. Each identifier is always served by the
// process that has it, and by no other.
func TestProcessesShareAPort(t *testing.T) {
	eachTier(t, tiers, func(t *testing.T, r *room, tier setting) {
		c := r.client()
		wantTier := func(rep report) {
			t.Helper()
			if rep.Tier != tier.Tier || !rep.Shared || rep.Shortfall != "" {
				t.Errorf("%+v, want tier %v, shared", rep, tier.Tier)
			}
		}
		one, two, three := r.start("one", tier.as), r.start("two", tier.as), r.start("three", tier.as)
		wantTier(one.acquire(1))
		c.wantAt(1, "one")
		wantTier(two.acquire(2))
		c.wantAt(1, "one")
		c.wantAt(2, "two")

		one.killed() // who opened the port
		c.wantNobody(1)
		c.wantAt(2, "two")
		wantTier(three.acquire(3)) // by two
		c.wantAt(3, "three")
		back := r.start("back", tier.as)
		wantTier(back.acquire(1))
		c.wantAt(1, "back")

		if rep := two.do(order{Do: "release"}); rep.Misrouted != 0 {
			t.Errorf("two got %d datagrams for others", rep.Misrouted)
		}
		c.wantNobody(2)
		c.wantAt(3, "three")
		c.wantAt(1, "back")

		three.killed()
		back.killed()
		c.wantNobody(1, 2, 3)
		wantTier(two.acquire(4))
		c.wantAt(4, "two")
		if left := r.sockets(); len(left) != 1 {
			t.Errorf("in the state directory there are %q, want one socket", left)
		}
		two.end()
		if left := r.sockets(); len(left) != 0 {
			t.Errorf("in the state directory there are %q, want none", left)
		}
	})
}

// More join a guarded port than there are spares.
func TestSparesRunOut(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	guarded := tiers[1].as
	r.start("one", guarded).acquire(1)
	for id := 2; id < 5; id++ {
		name := strconv.Itoa(id)
		if rep := r.start(name, guarded).mustDo(order{Do: "acquire", ID: id, Sockets: 7}); rep.Tier != rules.Guarded {
			t.Errorf("%+v", rep)
		}
		c.wantAt(id, name)
	}
	c.wantAt(1, "one")
}

// A guarded port is not opened for those who can have spares; elsewhere there are
// none.
func TestSparesAreGivenAway(t *testing.T) {
	for tier, left := range map[string]int{"guarded": spares - 7, "owned": 0, "unguarded": 0} {
		r := enterRoom(t)
		t.Setenv(TierEnv, tier)
		one, two := member(1), member(2)
		two.Sockets = 7
		opener := r.mustAcquire(one)
		r.mustAcquire(two)
		n := 0
		for {
			fd, ok, err := opener.door.TakeSpare()
			r.must(err)
			if !ok {
				break
			}
			unix.Close(fd)
			n++
		}
		if n != left {
			t.Errorf("%s: %d spares are left, want %d", tier, n, left)
		}
	}
}

// A process without the capability gets its sockets from a member with it.
func TestJoinOwnedWithoutCapability(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	one, two := r.start("one", who{}), r.start("two", who{lacks: []uintptr{unix.CAP_CHOWN, unix.CAP_BPF, unix.CAP_SYS_ADMIN}})
	one.acquire(1)
	if rep := two.acquire(2); rep.Tier != rules.Owned {
		t.Errorf("%+v", rep)
	}
	c.wantAt(1, "one")
	c.wantAt(2, "two")
	one.killed()
	c.wantAt(2, "two")

	// Now nobody has it. A newcomer with the capability needs no help.
	r.start("three", who{lacks: []uintptr{unix.CAP_CHOWN}}).wantRefused(order{ID: 3}, unix.EADDRINUSE,
		"UDP port 4433 is shared, and nobody who shares it lets this process in", "CAP_CHOWN")
	r.start("four", who{}).acquire(4)
	c.wantAt(4, "four")
}

func TestPortOfTheKernelsChoice(t *testing.T) {
	r := newRoom(t)
	one, two := r.start("one", who{}), r.start("two", who{})
	rep := one.mustDo(order{Do: "acquire", ID: 1, AnyPort: true})
	port := int(rep.Addr.Port())
	if port == 0 || !rep.Shared || rep.Tier != rules.Owned {
		t.Errorf("%+v", rep)
	}
	if joined := two.mustDo(order{Do: "acquire", ID: 2, Port: port}); joined.Addr != rep.Addr {
		t.Errorf("joined at %v, want %v", joined.Addr, rep.Addr)
	}
	two.do(order{Do: "release"})
	if other := two.mustDo(order{Do: "acquire", ID: 2, AnyPort: true}); other.Addr == rep.Addr {
		t.Error("two listeners with port 0 share a port")
	}
}

func TestSharedPortRefuses(t *testing.T) {
	r := newRoom(t)
	one, two := r.start("one", who{}), r.start("two", who{})
	one.acquire(1)
	two.wantRefused(order{ID: 1}, unix.EADDRINUSE, "identifier 0001", strconv.Itoa(one.cmd.Process.Pid))
	two.wantRefused(order{}, unix.EADDRINUSE, "shared")
	two.wantRefused(order{ID: 2, Local: "127.0.0.1"}, unix.EOPNOTSUPP, "steering")
	one.do(order{Do: "release"})
	two.acquire(0)
	one.wantRefused(order{ID: 1}, unix.EADDRINUSE, strconv.Itoa(two.cmd.Process.Pid))
}

// All at once: everybody gets in, and everything goes where it belongs.
func TestAtTheSameInstant(t *testing.T) {
	eachTier(t, tiers, func(t *testing.T, r *room, tier setting) {
		c := r.client()
		var children []*child
		for id := range 4 {
			children = append(children, r.start(strconv.Itoa(id+1), tier.as))
		}
		for range 3 {
			for i, child := range children {
				child.tell(order{Do: "acquire", ID: i + 1})
			}
			for _, child := range children {
				rep, err := child.hear()
				if err != nil || rep.Err != "" || rep.Tier != tier.Tier {
					t.Errorf("%+v, %v", rep, err)
				}
			}
			for i, child := range children {
				c.wantAt(i+1, child.name)
			}
			for _, child := range children {
				child.tell(order{Do: "release"})
			}
			for _, child := range children {
				if rep, err := child.hear(); err != nil || rep.Misrouted != 0 {
					t.Errorf("%+v, %v", rep, err)
				}
			}
		}
	})
}

// One identifier, wanted by all at once, goes to one.
func TestSameIdentifierAtTheSameInstant(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	children := []*child{r.start("one", who{}), r.start("two", who{}), r.start("three", who{})}
	for _, child := range children {
		child.tell(order{Do: "acquire", ID: 1})
	}
	var winners []string
	for _, child := range children {
		rep, err := child.hear()
		if err != nil || rep.Err != "" && rep.Reason != rules.IdentifierTaken.String() {
			t.Errorf("%+v, %v", rep, err)
		}
		if rep.Err == "" {
			winners = append(winners, child.name)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("the identifier went to %q", winners)
	}
	c.wantAt(1, winners[0])
}

// Who cannot make the steering serves a free port alone, joins a shared one, and
// is kept from both by one who was there before.
func TestWithoutTheCapabilityForSteering(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	unable := who{lacks: []uintptr{unix.CAP_BPF, unix.CAP_SYS_ADMIN}}
	one, two, able := r.start("one", unable), r.start("two", unable), r.start("able", who{})
	rep := one.acquire(1)
	if rep.Shared || rep.Tier != rules.Owned {
		t.Errorf("%+v", rep)
	}
	wantWords(t, rep.Shortfall, "steering by a BPF program", "CAP_BPF")
	c.wantAt(1, "one")
	for _, other := range []*child{two, able} {
		if rep := other.wantRefused(order{ID: 2}, unix.EADDRINUSE, "shares it with nobody"); rep.Reason != rules.HeldAlone.String() {
			t.Errorf("%+v", rep)
		}
	}
	one.do(order{Do: "release"})
	able.acquire(3)
	for id, child := range map[int]*child{1: one, 2: two} {
		if rep := child.acquire(id); !rep.Shared || rep.Shortfall != "" {
			t.Errorf("%+v", rep)
		}
		c.wantAt(id, child.name)
	}
	// They share it among themselves as well.
	able.killed()
	one.do(order{Do: "release"})
	one.acquire(1)
	c.wantAt(1, "one")
	c.wantAt(2, "two")
}

// Of several such, at the same instant, one serves alone.
func TestWithoutSteeringAtTheSameInstant(t *testing.T) {
	r := newRoom(t)
	unable := who{lacks: []uintptr{unix.CAP_BPF, unix.CAP_SYS_ADMIN}}
	children := []*child{r.start("one", unable), r.start("two", unable), r.start("three", unable)}
	for range 5 {
		for i, child := range children {
			child.tell(order{Do: "acquire", ID: i + 1})
		}
		served := 0
		for _, child := range children {
			rep, err := child.hear()
			switch {
			case err == nil && rep.Err == "" && !rep.Shared:
				served++
			case rep.Reason != rules.HeldAlone.String():
				t.Errorf("%+v, %v", rep, err)
			}
		}
		if served != 1 {
			t.Errorf("%d serve alone", served)
		}
		for _, child := range children {
			child.do(order{Do: "release"})
		}
	}
}

// One that can make the steering is among them: it is that one or all of those
// who share with it.
func TestOneWithSteeringAtTheSameInstant(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	unable := who{lacks: []uintptr{unix.CAP_BPF, unix.CAP_SYS_ADMIN}}
	children := []*child{r.start("one", unable), r.start("two", who{}), r.start("three", unable)}
	for range 5 {
		for i, child := range children {
			child.tell(order{Do: "acquire", ID: i + 1})
		}
		shared, alone := 0, 0
		for i, child := range children {
			rep, err := child.hear()
			switch {
			case err != nil || rep.Err != "" && rep.Reason != rules.HeldAlone.String():
				t.Errorf("%+v, %v", rep, err)
			case rep.Err != "":
			case rep.Shared:
				shared++
				c.wantAt(i+1, child.name)
			default:
				alone++
				c.wantAt(i+1, child.name)
			}
		}
		if !(shared == 3 && alone == 0 || shared == 0 && alone == 1) {
			t.Errorf("%d share, %d alone", shared, alone)
		}
		for _, child := range children {
			child.do(order{Do: "release"})
		}
	}
}
