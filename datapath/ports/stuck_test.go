// SPDX-License-Identifier: MIT

package ports

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// What follows waits until patience ends, so all of it runs at once.

// A member that is stopped costs a newcomer little where another answers.
func TestMemberIsStopped(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	var stopped []*child
	for id := 1; id < 4; id++ {
		child := r.start(strconv.Itoa(id), who{})
		child.acquire(id)
		stopped = append(stopped, child)
	}
	r.start("alive", who{}).acquire(4)
	for _, child := range stopped {
		child.stop()
	}
	start := time.Now()
	r.start("new", who{}).acquire(5)
	if spent := time.Since(start); spent > patience {
		t.Errorf("to join took %v", spent)
	}
	c.wantNobody(1, 2, 3)
	c.wantAt(4, "alive")
	c.wantAt(5, "new")
	for _, child := range stopped {
		child.resume()
	}
	for range 3 * 2 { // what has waited for them
		for _, fd := range []int{c.v4, c.v6} {
			if got := c.receive(fd, limit); got == "" || got[:1] != strconv.Itoa(identifier(got)) {
				t.Errorf("answered by %.10q", got)
			}
		}
	}
}

// Where nobody else is, it keeps others out, but not for ever.
func TestOnlyMemberIsStopped(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	one, two, three := r.start("one", who{}), r.start("two", who{}), r.start("three", who{})
	one.acquire(1)
	one.stop()
	three.tell(order{Do: "acquire", ID: 3})
	start := time.Now()
	two.wantRefused(order{ID: 2}, unix.EADDRINUSE, fmt.Sprintf("process %d: it does not answer", one.cmd.Process.Pid), "stopped")
	if spent := time.Since(start); spent < patience || spent > 3*patience {
		t.Errorf("refused after %v, want about %v", spent, patience)
	}
	if rep, err := three.hear(); err != nil || rep.Errno != int(unix.EADDRINUSE) {
		t.Errorf("%+v, %v", rep, err)
	}
	// It goes on while a newcomer waits.
	two.tell(order{Do: "acquire", ID: 2})
	one.resume()
	if rep, err := two.hear(); err != nil || rep.Err != "" {
		t.Errorf("%+v, %v", rep, err)
	}
	c.wantAt(1, "one")
	c.wantAt(2, "two")
}

// openingAndJoining runs a test of a process that opens the port, and of one that
// joins another, which must be served in the end.
func openingAndJoining(t *testing.T, f func(t *testing.T, r *room, c *client, tier setting)) {
	t.Parallel()
	for name, joins := range map[string]bool{"opens": false, "joins": true} {
		t.Run(name, func(t *testing.T) {
			eachTier(t, tiers[:2], func(t *testing.T, r *room, tier setting) {
				c := r.client()
				if joins {
					r.start("first", tier.as).acquire(9)
				}
				f(t, r, c, tier)
				if joins {
					c.wantAt(9, "first")
				}
			})
		})
	}
}

// Whoever is stopped at the door keeps others from it, but not for ever. When it
// goes on, it gets what it wants, and so do they.
func TestStoppedAtTheDoor(t *testing.T) {
	openingAndJoining(t, func(t *testing.T, r *room, c *client, tier setting) {
		one, two := r.start("one", tier.as), r.start("two", tier.as)
		one.tell(order{Do: "acquire", ID: 1, StopAt: 1})
		until(t, "one is stopped", one.isStopped)
		two.wantRefused(order{ID: 2}, unix.EADDRINUSE, "a process that opens it or joins it does not get done")
		two.tell(order{Do: "acquire", ID: 2})
		one.resume()
		for _, child := range []*child{one, two} {
			if rep, err := child.hear(); err != nil || rep.Err != "" || rep.Tier != tier.Tier {
				t.Errorf("%s: %+v, %v", child.name, rep, err)
			}
		}
		c.wantAt(1, "one")
		c.wantAt(2, "two")
	})
}

// Whoever dies at the door, at whichever of its sockets, leaves nothing that keeps
// others out.
func TestDiesAtTheDoor(t *testing.T) {
	openingAndJoining(t, func(t *testing.T, r *room, c *client, tier setting) {
		two := r.start("two", tier.as)
		for at := 1; ; at++ {
			one := r.start("one", tier.as)
			one.tell(order{Do: "acquire", ID: 1, DieAt: at})
			two.acquire(2)
			rep, err := one.hear()
			if err == nil && rep.Err != "" {
				t.Errorf("%+v", rep)
			}
			c.wantAt(2, "two")
			if err == nil { // it has no such socket
				c.wantAt(1, "one")
				return
			}
			one.killed()
			c.wantNobody(1)
			two.do(order{Do: "release"})
		}
	})
}

// A member is stopped while it binds a socket for a newcomer. Another one helps;
// when the first goes on, it does no harm.
func TestStoppedWhileItBindsForAnother(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	one, two, three := r.start("one", who{}), r.start("two", who{}), r.start("three", who{lacks: []uintptr{unix.CAP_CHOWN}})
	one.acquire(1)
	two.acquire(2)
	one.do(order{Do: "count", StopAt: 1})
	for !one.isStopped() { // it is asked first every other time
		three.do(order{Do: "release"})
		three.acquire(3)
	}
	c.wantAt(2, "two")
	c.wantAt(3, "three")
	one.resume()
	r.start("four", who{}).acquire(4)
	for id, name := range []string{"one", "two", "three", "four"} {
		c.wantAt(id+1, name)
	}
}

// It dies there. The newcomer opens the port itself.
func TestDiesWhileItBindsForAnother(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	one, two := r.start("one", who{}), r.start("two", who{lacks: []uintptr{unix.CAP_CHOWN}})
	one.acquire(1)
	one.do(order{Do: "count", DieAt: 1})
	if rep := two.acquire(2); rep.Tier != rules.Guarded {
		t.Errorf("%+v", rep)
	}
	one.killed()
	c.wantAt(2, "two")
	c.wantNobody(1)
}

// Processes come and go as they like, or are killed, all at the same time. Nobody
// is refused, whoever is there in the end gets what is its own, and who stays all
// the time loses nothing.
func TestStorm(t *testing.T) {
	eachTier(t, tiers[:2], func(t *testing.T, r *room, tier setting) {
		c := r.client()
		children := make([]*child, 4)
		steady, flood := r.client(), r.client()
		r.start("steady", tier.as).acquire(9)
		defer r.meanwhile(func() error { return steady.at(9, "steady") })()
		defer r.meanwhile(func() error {
			for id := range children {
				flood.send(id + 1)
			}
			return nil
		})()
		for round := range 6 {
			acquires := map[int]bool{}
			for i := range children {
				if children[i] == nil {
					children[i] = r.start(strconv.Itoa(i+1), tier.as)
				}
				children[i].do(order{Do: "release"})
				if children[i].tell(order{Do: "acquire", ID: i + 1}); (round+i)%3 != 0 {
					acquires[i] = true
				}
			}
			for i := range children { // those that are killed, after some of the others are done
				if !acquires[i] {
					time.Sleep(time.Duration(round) * time.Millisecond)
					children[i].killed()
					children[i] = nil
				}
			}
			for i := range acquires {
				rep, err := children[i].hear()
				if err != nil || rep.Err != "" || rep.Tier != tier.Tier {
					t.Errorf("%d: %+v, %v", i+1, rep, err)
				}
			}
			for i, child := range children {
				if acquires[i] {
					c.wantAt(i+1, child.name)
				} else {
					c.wantNobody(i + 1)
				}
			}
			for i := range acquires {
				if n := children[i].do(order{Do: "count"}).Misrouted; n != 0 {
					t.Errorf("%d got %d datagrams for others", i+1, n)
				}
			}
		}
	})
}
