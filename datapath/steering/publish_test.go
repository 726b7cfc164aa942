// SPDX-License-Identifier: MIT

package steering

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// wantError fails unless err is this errno and says all of these.
func wantError(t testing.TB, err error, errno unix.Errno, says ...string) {
	t.Helper()
	if !errors.Is(err, errno) {
		t.Errorf("error %v, want %v", err, errno)
		return
	}
	for _, s := range append(says, fmt.Sprintf("(errno %d)", int(errno))) {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

func TestPublishRefusesArguments(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	for _, test := range []struct {
		slot uint32
		id   cibir.ID
		n    int
		says string
	}{
		{MaxSlots, id, 1, "slot 4096: the slots are 0 to 4095"},
		{1, cibir.ID{}, 1, `identifier "" has 0 bytes, and those of this group have 4`},
		{1, identifier(5, 1), 1, "has 5 bytes"},
		{1, id, 0, "0 sockets: a slot has 1 to 64"},
		{1, id, MaxSockets + 1, "65 sockets"},
	} {
		err := p.g.Publish(test.slot, test.id, make([]int, test.n))
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v; want it to say %q", err, test.says)
		}
	}
}

// wantEmpty fails unless a slot is as if nobody had ever published there.
func (p *port) wantEmpty(slot uint32, id cibir.ID) {
	p.t.Helper()
	p.wantDropped(Counters{UnknownIdentifier: 1}, short(usual, id))
	for i := range MaxSockets {
		var cookie uint64
		if err := p.g.objects.Members.Lookup(memberIndex(slot, i), &cookie); err == nil {
			p.t.Errorf("slot %d has a socket at %d", slot, i)
		}
	}
	if serves, err := p.g.serves(slot); err != nil || serves.Identifier != key(cibir.ID{}) || serves.Sockets != 0 {
		p.t.Errorf("slot %d serves %+v, %v", slot, serves, err)
	}
}

// A socket that cannot be a member is refused, and those before it leave again.
func TestPublishUndoesWhatItCannotFinish(t *testing.T) {
	p := newPort(t, usual)
	good := p.sockets(2)
	busy := p.publish(9, identifier(usual.Length, 9), 1)[0]
	unbound := p.unbound(unix.AF_INET6)
	if err := join(unbound); err != nil {
		t.Fatal(err)
	}
	lonely := p.unbound(unix.AF_INET6)
	if err := unix.Bind(lonely, &unix.SockaddrInet6{}); err != nil {
		t.Fatal(err)
	}
	connected := p.sockets(1)[0]
	if err := unix.Connect(connected, &unix.SockaddrInet6{Port: 1, Addr: [16]byte{15: 1}}); err != nil {
		t.Fatal(err)
	}
	id := identifier(usual.Length, 1)
	for _, test := range []struct {
		name   string
		socket int
		errno  unix.Errno
		says   string
	}{
		{"not bound", unbound, unix.EINVAL, "must be bound with SO_REUSEPORT"},
		{"without SO_REUSEPORT", lonely, unix.EINVAL, "must be bound with SO_REUSEPORT"},
		{"connected", connected, unix.EINVAL, "neither connected"},
		{"in another slot", busy, unix.EBUSY, "in a slot already"},
		{"the same twice", good[0], unix.EBUSY, "in a slot already"},
		{"no socket", p.g.FDs()[0], unix.ENOTSOCK, "members["},
		{"no descriptor", 1 << 20, unix.EBADF, "members["},
		{"negative", -1, unix.EINVAL, "members["},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.t = t
			err := p.g.Publish(5, id, []int{good[0], good[1], test.socket})
			wantError(t, err, test.errno, "slot 5", fmt.Sprintf("socket %d", test.socket), test.says)
			p.wantEmpty(5, id)
		})
	}
	p.t = t
	if err := p.g.Publish(5, id, good); err != nil {
		t.Fatal(err)
	}
	p.wantAt(good, "v4", short(usual, id))
	p.wantAt([]int{busy}, "v4", short(usual, identifier(usual.Length, 9)))
}

// A process that dies lets go of its lock on a slot before the kernel has closed
// all of its sockets.
func TestPublishWaitsForADyingProcess(t *testing.T) {
	p := newPort(t, usual)
	former, id := identifier(usual.Length, 1), identifier(usual.Length, 2)
	dying := p.publish(5, former, 2)
	fds := p.sockets(2)
	done := make(chan error)
	go func() { done <- p.g.Publish(5, id, fds) }()
	until(t, "the slot has a new identifier", func() bool {
		serves, err := p.g.serves(5)
		return err == nil && serves.Identifier == key(id)
	})
	// It is there, but nobody may be given its datagrams yet, nor those of the former one.
	p.wantDropped(Counters{UnknownIdentifier: 1}, short(usual, id))
	p.wantDropped(Counters{UnknownIdentifier: 1}, short(usual, former))
	p.close(dying...)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.wantAt(fds, "v4", long(usual, id))
	p.wantDropped(Counters{UnknownIdentifier: 1}, short(usual, former))
}

func TestPublishGivesUpOnAProcessThatLives(t *testing.T) {
	p := newPort(t, usual)
	living := p.publish(5, identifier(usual.Length, 1), 2)
	id := identifier(usual.Length, 2)
	fds := p.sockets(2)
	begin := time.Now()
	err := p.g.Publish(5, id, fds)
	wantError(t, err, unix.EEXIST, "slot 5", "a process that has lost the slot")
	if took := time.Since(begin); took < patience || took > patience+limit {
		t.Errorf("gave up after %v", took)
	}
	// It has taken no socket from the other, and none of its own is left.
	p.wantDropped(Counters{UnknownIdentifier: 1}, short(usual, id))
	p.close(living...)
	p.wantEmpty(5, id)
}

func TestWithdraw(t *testing.T) {
	p := newPort(t, usual)
	id, stays := identifier(usual.Length, 1), identifier(usual.Length, 2)
	fds := p.publish(5, id, 3)
	other := p.publish(6, stays, 1)
	for range 2 {
		if err := p.g.Withdraw(5, id); err != nil {
			t.Fatal(err)
		}
		p.wantEmpty(5, id)
	}
	p.wantAt(other, "v4", short(usual, stays))
	// The sockets and the slot can be used again, as can the identifier.
	if err := p.g.Publish(7, id, fds[:1]); err != nil {
		t.Fatal(err)
	}
	again := identifier(usual.Length, 3)
	if err := p.g.Publish(5, again, fds[1:]); err != nil {
		t.Fatal(err)
	}
	p.wantAt(fds[:1], "v6", long(usual, id))
	p.wantAt(fds[1:], "v6", long(usual, again))
}

// Whoever withdraws too late takes nothing from those who came after.
func TestWithdrawTooLate(t *testing.T) {
	p := newPort(t, usual)
	id, next := identifier(usual.Length, 1), identifier(usual.Length, 2)
	p.close(p.publish(5, id, 1)...)
	moved := p.publish(6, id, 1)
	heir := p.publish(5, next, 1)
	if err := p.g.Withdraw(5, id); err != nil {
		t.Fatal(err)
	}
	p.wantAt(moved, "v4", short(usual, id))
	p.wantAt(heir, "v4", short(usual, next))
	if err := p.g.Withdraw(MaxSlots, id); err == nil {
		t.Error("a slot too many")
	}
	if err := p.g.Withdraw(5, identifier(3, 1)); err == nil {
		t.Error("an identifier that is too short")
	}
}

// The entry of a dead process whose slot has another owner by now, or none:
// Publish removes it, but a CPU may have read it before.
func TestStaleEntryIsNotFollowed(t *testing.T) {
	e := cibir.Encoding{Length: cibir.MaxIDLength, SourceOffset: 1, DestinationOffset: 1}
	p := newPort(t, e)
	fds := p.publish(5, identifier(e.Length, 0), 1)
	follow := func(stale cibir.ID, slot uint32, want Counters) {
		t.Helper()
		if err := p.g.objects.Identifiers.Put(key(stale), slot); err != nil {
			t.Fatal(err)
		}
		p.wantDropped(want, short(e, stale))
		p.wantDropped(want, long(e, stale))
	}
	for i := range e.Length { // in whichever byte it differs from the new one
		b := make([]byte, e.Length)
		b[i] = 1
		stale, err := cibir.NewID(b)
		if err != nil {
			t.Fatal(err)
		}
		follow(stale, 5, Counters{DeadMember: 1})
	}
	p.wantAt(fds, "v4", short(e, identifier(e.Length, 0)))
	follow(identifier(e.Length, 1), 7, Counters{DeadMember: 1})
	follow(identifier(e.Length, 1), MaxSlots, Counters{UnknownIdentifier: 1})
	follow(identifier(e.Length, 1), 1<<32-1, Counters{UnknownIdentifier: 1})
}

// A socket of another port can be no answer for this one.
func TestSocketOfAnotherPort(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	p.sockets(1)
	foreign := p.unbound(unix.AF_INET6)
	if err := errors.Join(join(foreign), unix.Bind(foreign, &unix.SockaddrInet6{Port: number + 1})); err != nil {
		t.Fatal(err)
	}
	if err := p.g.Publish(5, id, []int{foreign}); err != nil {
		t.Fatal(err)
	}
	p.wantDropped(Counters{NoSocket: 1}, short(usual, id))
}
