// SPDX-License-Identifier: MIT

package portres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

func TestExclusiveClaims(t *testing.T) {
	h := newHost(t)
	exe, err := os.Executable()
	h.must(err)
	me := []string{"UDP port 4433", fmt.Sprintf("pid %d", os.Getpid()), strconv.Quote(filepath.Base(exe))}
	for kind, name := range map[rules.Kind]string{rules.Listener: "MsQuic listener", rules.Client: "MsQuic client", rules.QTIP: "QTIP"} {
		c, err := Acquire(h.dir, exclusively(kind))
		h.must(err)
		if got := c.Decision().Outcome; got != rules.Granted || c.Slot() != 0 {
			t.Errorf("%v: %v, slot %d", kind, got, c.Slot())
		}
		h.wantList("udp 4433 " + kind.String())
		h.wantRefused(exclusively(rules.Listener), rules.HeldExclusively, append(me, name)...)
		h.wantRefused(exclusively(rules.Client), rules.HeldExclusively, append(me, name)...)
		h.wantRefused(member(1), rules.HeldExclusively, append(me, name)...)
		h.must(c.Release())
		h.must(c.Release()) // does nothing
		h.wantList()
	}
}

func TestSharedClaims(t *testing.T) {
	h := newHost(t)
	first, second := h.claim(member(1)), h.claim(member(2))
	if a, b := first.Decision().Outcome, second.Decision().Outcome; a != rules.Opens || b != rules.Joins {
		t.Errorf("outcomes %v, %v", a, b)
	}
	if first.Slot() == second.Slot() || first.Slot() >= Slots || second.Slot() >= Slots {
		t.Errorf("slots %d, %d", first.Slot(), second.Slot())
	}
	h.wantRefused(member(2), rules.IdentifierTaken, "identifier 0002", fmt.Sprintf("pid %d", os.Getpid()), "same process")
	h.wantRefused(exclusively(rules.Listener), rules.HeldShared, "CIBIR")
	h.wantRefused(exclusively(rules.Client), rules.HeldShared)

	other := member(3)
	other.Party.Encoding.DestinationOffset++
	h.wantRefused(other, rules.EncodingDiffers, "2@9/10", "2@9/9")
	blind := member(3)
	blind.Party.Steering = false
	h.wantRefused(blind, rules.NoSteering)

	h.must(first.Release())
	h.claim(member(1))
	h.must(second.Release())
	h.wantList("udp 4433 0001")
}

func TestServesAlone(t *testing.T) {
	h := newHost(t)
	spec := member(1)
	spec.Party.Steering = false
	if got := h.claim(spec).Decision().Outcome; got != rules.ServesAlone {
		t.Errorf("outcome %v", got)
	}
	h.wantRefused(member(2), rules.HeldAlone, "identifier 0001")
	h.wantList("udp 4433 cibir")
}

func TestPortsAndProtocolsAreSeparate(t *testing.T) {
	h := newHost(t)
	h.claim(member(1))
	tcp, other := exclusively(rules.QTIP), exclusively(rules.Listener)
	tcp.Proto, other.Port = rules.TCP, 443
	h.claim(tcp)
	h.claim(other)
	h.wantList("udp 443 listener", "udp 4433 0001", "tcp 4433 qtip")
}

func TestNamespacesAreSeparate(t *testing.T) {
	h := newHost(t)
	h.claim(exclusively(rules.Listener))
	elsewhere := &host{TB: t, base: h.base, dir: h.open(netnstest.New(t))}
	elsewhere.claim(exclusively(rules.Client))
	h.wantList("udp 4433 listener")
	elsewhere.wantList("udp 4433 client")
}

// What the caller knows besides the claims goes to the rules.
func TestReservationsAndForeignSockets(t *testing.T) {
	h := newHost(t)
	reserved := exclusively(rules.Listener)
	reserved.Reservation = &rules.Reservation{Name: "shop", Exclusive: true}
	h.wantRefused(reserved, rules.NotPermitted, "shop")
	reserved.Reservation.Permitted = true
	h.must(h.claim(reserved).Release())

	foreign := exclusively(rules.Listener)
	foreign.Kernel = []rules.Party{{Kind: rules.Foreign, Process: 77, Program: "nc"}}
	h.wantRefused(foreign, rules.HeldByForeign, "pid 77", "nc")
	foreign.AutoPort = true
	_, err := Acquire(h.dir, foreign)
	var refused *Refused
	if !errors.As(err, &refused) || refused.Decision.Outcome != rules.OtherPort || !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("port 0: %v", err)
	}
	h.wantList()
}

func TestErrnos(t *testing.T) {
	h := newHost(t)
	h.claim(member(1))
	blind := member(2)
	blind.Party.Steering = false
	for _, test := range []struct {
		spec Spec
		want unix.Errno
	}{
		{member(1), unix.EADDRINUSE},
		{exclusively(rules.Client), unix.EADDRINUSE},
		{blind, unix.EOPNOTSUPP},
		{exclusively(rules.Foreign), unix.EINVAL},
		{Spec{Proto: rules.UDP, Party: rules.Party{Kind: rules.Listener}}, unix.EINVAL},
		{Spec{Proto: rules.UDP, Port: 4433, Party: rules.Party{Kind: rules.CIBIR, ID: idOf(9)}}, unix.EINVAL},
	} {
		if _, err := Acquire(h.dir, test.spec); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, want %v", test.spec, err, test.want)
		}
	}
	h.wantList("udp 4433 0001")
}

// Members of a group share root's directory. The rules tell their users apart,
// by the locks: the text is gone.
func TestUsersWhoShareADirectory(t *testing.T) {
	for _, users := range [][2]int{{alice, bob}, {bob, alice}} {
		h := newSharedHost(t)
		as := func(uid int, f func()) { rundirtest.As(t, h.ns, uid, []int{staff}, f) }
		first, second := fmt.Sprintf("uid %d", users[0]), fmt.Sprintf("uid %d", users[1])

		as(users[0], func() { h.claim(member(1)) })
		as(users[1], func() { h.wantRefused(exclusively(rules.Listener), rules.HeldShared, first, "0001") })
		h.must(os.Truncate(h.path(), 0))
		shared, taken := member(2), member(2)
		shared.Reservation = &rules.Reservation{Encoding: nine, Permitted: true}
		taken.Reservation = shared.Reservation
		as(users[1], func() {
			h.wantRefused(member(2), rules.OtherUser, first, second)
			h.claim(shared)
		})
		h.must(os.Truncate(h.path(), 0))
		as(users[0], func() {
			h.wantRefused(member(3), rules.OtherUser, first, second)
			h.wantRefused(taken, rules.IdentifierTaken)
		})
		as(users[1], func() { h.wantRefused(member(3), rules.OtherUser, first, second) })
	}
}

func TestVersionsDoNotMix(t *testing.T) {
	h := newHost(t)
	h.must(h.claim(member(1)).Release())
	f := h.file()
	theirs := holding{version: 2, encoding: nine}.claimByte()
	ok, err := f.TryShare(theirs, 1)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, spec := range []Spec{member(1), exclusively(rules.Listener)} {
		_, err := Acquire(h.dir, spec)
		var mixed *VersionError
		if !errors.As(err, &mixed) || mixed.Ours != 1 || mixed.Theirs != 2 || !errors.Is(err, unix.EADDRINUSE) {
			t.Fatalf("error %v", err)
		}
		wantWords(t, err.Error(), "UDP port 4433", "version 1:", "version 2 ")
		if _, err := Explain(h.dir, spec); !errors.As(err, &mixed) {
			t.Errorf("explained by %v", err)
		}
	}
	held, err := List(h.dir)
	if err != nil || len(held) != 1 || held[0] != (Held{Proto: rules.UDP, Port: 4433, Version: 2}) {
		t.Errorf("list %+v, %v", held, err)
	}
	h.must(f.Unlock(theirs, 1))
	h.claim(member(1))
	if ours, ok, err := f.holding(); ours.version != 1 || !ok || err != nil {
		t.Errorf("a claimant of version 2 meets %+v, %v, %v", ours, ok, err)
	}
}

// Explain says what Acquire would, and leaves nothing.
func TestExplain(t *testing.T) {
	h := newHost(t)
	explain := func(spec Spec, outcome rules.Outcome, reason rules.Reason) {
		t.Helper()
		d, err := Explain(h.dir, spec)
		if err != nil || d.Outcome != outcome || d.Reason != reason {
			t.Errorf("%v, %v, %v; want %v, %v", d.Outcome, d.Reason, err, outcome, reason)
		}
	}
	explain(member(1), rules.Opens, rules.PortFree)
	if names, err := h.dir.Names(); err != nil || len(names) != 0 {
		t.Errorf("files %v, %v", names, err)
	}
	c := h.claim(member(1))
	h.must(c.SetTier(rules.Owned))
	explain(member(1), rules.Refused, rules.IdentifierTaken)
	explain(member(2), rules.Joins, rules.OtherIdentifier)
	explain(exclusively(rules.Foreign), rules.Refused, rules.KeptOut)
	h.wantList("udp 4433 0001")
}

// A claimant that waited for the gate of a file which is replaced meanwhile
// goes on with the new one.
func TestReplacedFile(t *testing.T) {
	h := newHost(t)
	f := h.file()
	h.must(f.Lock(gateAt, 1))
	type result struct {
		c   *Claim
		err error
	}
	got := make(chan result)
	go func() {
		c, err := Acquire(h.dir, exclusively(rules.Listener))
		got <- result{c, err}
	}()
	h.waitForWaiter()
	h.must(os.Rename(h.path(), h.path()+".old"))
	h.must(f.Unlock(gateAt, 1))
	r := <-got
	h.must(r.err)
	h.wantList("udp 4433 listener")
	h.must(r.c.Release())
}

// waitForWaiter waits until somebody waits for a lock of the port's file.
func (h *host) waitForWaiter() {
	h.Helper()
	var st unix.Stat_t
	h.must(unix.Stat(h.path(), &st))
	waiter := fmt.Sprintf(":%d ", st.Ino)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		locks, err := os.ReadFile("/proc/locks")
		h.must(err)
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "->") && strings.Contains(line, waiter) {
				return
			}
		}
	}
	h.Fatal("nobody waits")
}

// More than Slots members do not fit.
func TestNoSlotLeft(t *testing.T) {
	h := newHost(t)
	f := h.file()
	if ok, err := f.TryLock(slotAt, Slots-1); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if got := h.claim(member(1)).Slot(); got != Slots-1 {
		t.Errorf("slot %d", got)
	}
	_, err := Acquire(h.dir, member(2))
	if !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("error %v", err)
	}
	wantWords(t, err.Error(), "4096", "no room")
}

// Locks that were taken without the gate are noticed.
func TestLocksAgainstTheProtocol(t *testing.T) {
	h := newHost(t)
	f := h.file()
	if ok, err := f.TryLock(identifierByte(idOf(1), 0), Slots); !ok || err != nil {
		t.Fatal(ok, err)
	}
	_, err := Acquire(h.dir, member(1))
	if err == nil {
		t.Fatal("granted")
	}
	wantWords(t, err.Error(), "udp-4433", "did not wait for the gate")
}

func TestLongIdentifiers(t *testing.T) {
	h := newHost(t)
	long := func(last byte) Spec {
		id, err := cibir.NewID(append([]byte("seven or more byte"), last))
		h.must(err)
		spec := member(0)
		spec.Party.ID, spec.Party.Encoding.Length = id, uint8(id.Len())
		return spec
	}
	c := h.claim(long(1))
	h.claim(long(2))
	h.wantRefused(long(1), rules.IdentifierTaken)
	ids := []string{long(1).Party.ID.String(), long(2).Party.ID.String()}
	if got := h.list(); len(got) != 2 || !slices.Contains(got, "udp 4433 "+ids[0]) || !slices.Contains(got, "udp 4433 "+ids[1]) {
		t.Errorf("held: %q, want %q", got, ids)
	}

	// Only the text has them in full, and it is believed if the lock agrees.
	_, err := h.file().WriteAt(formatRow(long(3).Party), int64(c.Slot())*rowSize)
	h.must(err)
	if got := h.list(); len(got) != 2 || !slices.Contains(got, "udp 4433 ") || !slices.Contains(got, "udp 4433 "+ids[1]) {
		t.Errorf("held: %q with a wrong text", got)
	}
}
