// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

// A user whom a reservation permits, by name or by any of its groups, joins the
// port of another one, in every tier.
func TestJoinAsAnotherUser(t *testing.T) {
	eachTier(t, tiers, func(t *testing.T, r *room, tier setting) {
		r.shareDirectory()
		r.reserveShared([]uint32{0, alice}, []uint32{staff + 1})
		c := r.client()
		r.start("root", tier.as).acquire(1)
		named := r.start("alice", who{uid: alice, groups: []uint32{staff}})
		grouped := r.start("bob", who{uid: bob, groups: []uint32{staff, staff + 1}})
		for id, child := range map[int]*child{2: named, 3: grouped} {
			if rep := child.acquire(id); rep.Tier != tier.Tier || !rep.Shared {
				t.Errorf("%+v, want tier %v", rep, tier.Tier)
			}
			c.wantAt(id, child.name)
		}
		c.wantAt(1, "root")
		r.start("mallory", who{uid: alice + 7, groups: []uint32{staff}}).
			wantRefused(order{ID: 4}, unix.EADDRINUSE, "reserved")
		grouped.killed()
		named.killed()
		c.wantAt(1, "root")
	})
}

// Where no reservation permits it, the rules refuse it. A program that does not
// ask them gets nothing from a member either.
func TestMembersGiveNothingToOthers(t *testing.T) {
	r := newRoom(t)
	r.shareDirectory()
	r.start("root", who{}).acquire(1)
	colleague := who{uid: alice, groups: []uint32{staff}}
	r.start("alice", colleague).wantRefused(order{ID: 2}, unix.EADDRINUSE, "user")
	path := r.dir().ShortPath(r.sockets()[0])
	rundirtest.As(t, r.ns, alice, []int{staff}, func() {
		for _, op := range []uint16{opJoin, opSockets, 99} {
			err := visitOne(path, limit, func(g *guest) error {
				_, _, err := g.ask(op, 1)
				return err
			})
			if err == nil || !errors.Is(err, errRefused) {
				t.Errorf("operation %d: %v", op, err)
			}
			wantWords(t, fmt.Sprint(err), "it refuses: ", "user 61001", "a reservation for sharing")
		}
	})
	for _, groups := range [][]int{nil, {staff + 1}} { // who cannot make claims cannot even connect
		rundirtest.As(t, r.ns, bob, groups, func() {
			if err := visitOne(path, limit, func(*guest) error { return nil }); !errors.Is(err, unix.EACCES) {
				t.Errorf("connected: %v", err)
			}
		})
	}
}

// In a directory of root's own, nobody else connects.
func TestMembersAreNotReachable(t *testing.T) {
	r := newRoom(t)
	r.start("root", who{}).acquire(1)
	path := r.dir().ShortPath(r.sockets()[0])
	rundirtest.As(t, r.ns, alice, []int{staff}, func() {
		if err := visitOne(path, limit, func(*guest) error { return nil }); !errors.Is(err, unix.EACCES) {
			t.Errorf("connected: %v", err)
		}
	})
}

// Those who connect and say nothing, or do not read, hold nobody up for long.
func TestStallingGuests(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	one := r.start("one", who{})
	one.acquire(1)
	before := one.do(order{Do: "count"}).FDs
	path := r.dir().ShortPath(r.sockets()[0])
	var stalls []int
	for range 3 * maxGuests {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		r.must(err)
		defer unix.Close(fd)
		r.must(unix.Connect(fd, &unix.SockaddrUnix{Name: path}))
		if len(stalls)%2 == 0 {
			unix.Sendto(fd, encode(question{magic, version, opJoin, 0}), unix.MSG_NOSIGNAL, nil) // if it is still there
		}
		stalls = append(stalls, fd)
	}
	start := time.Now()
	r.start("two", who{}).acquire(2)
	if spent := time.Since(start); spent > patience {
		t.Errorf("to join took %v", spent)
	}
	c.wantAt(1, "one")
	c.wantAt(2, "two")
	until(t, "the member lets them go", func() bool { return one.do(order{Do: "count"}).FDs == before })
}
