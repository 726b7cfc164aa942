// SPDX-License-Identifier: MIT

package hold

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

var (
	plainStranger  = stranger{name: "dual", addr: "::", reusePort: true}
	deviceStranger = stranger{name: "on lo", addr: "::", reusePort: true, device: loopback}
)

// While members come, a stranger hammers. It gets in only through the moment
// when the guard is off, and if it is still there then, Admit fails and names it.
func TestAdmitWhileAStrangerHammers(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		if tier == rules.Unguarded {
			return // strangers of the same user get in at any time
		}
		d, _ := r.mustOpen(uid, o, tier)
		for _, who := range []int{root, user, other} {
			h := r.hammer(who, rules.UDP, plainStranger)
			for range 20 {
				fds, err := r.admit(uid, d, 1)
				if err != nil {
					refusal := wantInUse(t, err)
					if !refusal.Entered || len(refusal.Holders) != 1 || refusal.Holders[0].UID != uint32(who) {
						t.Errorf("refused by %+v, want uid %d", refusal, who) // its process may have closed it by now
					}
				}
				h.wantOut(t, 3)
				descriptors.CloseAll(fds)
			}
			t.Logf("uid %d got in %d times in %d tries", who, h.ins.Load(), h.tries.Load())
			if h.ins.Load() != 0 && (tier == rules.Owned || who != uid) {
				t.Errorf("uid %d got in %d times", who, h.ins.Load())
			}
			h.quit()
		}
		r.wantKept(d, uid, tier)
	})
}

// Whether a stranger was there before, came in meanwhile or stayed out, a door
// that opened is shut.
func TestOpenWhileAStrangerHammers(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		if tier == rules.Unguarded {
			return
		}
		h := r.hammer(uid, rules.UDP, plainStranger)
		opened, entered := 0, 0
		for range 40 {
			d, fds, err := r.open(uid, o)
			if err != nil {
				if wantInUse(t, err).Entered {
					entered++
				}
				continue
			}
			opened++
			h.wantOut(t, 3)
			descriptors.CloseAll(fds)
			d.Release()
		}
		t.Logf("opened %d of 40 times, entered %d times meanwhile", opened, entered)
		if opened == 0 {
			t.Error("never opened")
		}
		if tier == rules.Owned && entered != 0 {
			t.Errorf("a stranger entered %d times", entered)
		}
	})
}

// An intruder that stays makes Admit fail and leaves nothing behind.
func TestAdmitNamesAnIntruder(t *testing.T) {
	r := newRoom(t)
	o := group(rules.UDP, 1)
	d, members := r.mustOpen(user, o, rules.Guarded)
	make := d.o.NewSocket
	intruder := -1
	d.o.NewSocket = func() (int, error) { // called when the guard is off
		if intruder < 0 {
			intruder, _ = r.try(user, rules.UDP, plainStranger)
		}
		return make()
	}
	for range 2 {
		fds, err := r.admit(user, d, 1)
		refusal := wantInUse(t, err)
		if len(fds) != 0 || !refusal.Entered || len(refusal.Holders) != 1 || refusal.Holders[0] != plainStranger.party(t, user) {
			t.Errorf("admitted %v, refusal %+v", fds, refusal)
		}
		if !strings.Contains(err.Error(), "came in while") {
			t.Errorf("the error does not say so: %v", err)
		}
		unix.Close(intruder)
		intruder = -1
	}
	d.o.NewSocket = make
	r.wantKept(d, user, rules.Guarded)
	steer(t, members[0])
	r.wantSteered(d, append(members, r.mustAdmit(user, d, 1)...)...)
}

// Open looks for intruders, too, for it opens the guard as well.
func TestOpenNamesAnIntruder(t *testing.T) {
	for _, tier := range []rules.Tier{rules.Guarded, rules.Unguarded} {
		r := newRoom(t)
		o := most(group(rules.UDP, 2), tier)
		make, calls, intruder := o.NewSocket, 0, -1
		o.NewSocket = func() (int, error) {
			if calls++; calls == 3 { // the first has the port, one member is bound
				intruder, _ = r.try(user, rules.UDP, deviceStranger)
			}
			return make()
		}
		_, _, err := r.open(user, o)
		unix.Close(intruder)
		refusal := wantInUse(t, err)
		if !refusal.Entered || len(refusal.Holders) != 1 || refusal.Holders[0] != deviceStranger.party(t, user) {
			t.Errorf("%s: refusal %+v", tier, refusal)
		}
		r.wantFree()
	}
}

// A stranger that came through a known hole before is not blamed on Admit.
func TestAdmitBesideAnEarlierIntruder(t *testing.T) {
	r := newRoom(t)
	d, _ := r.mustOpen(user, group(rules.UDP, 1), rules.Guarded)
	fd, in := r.try(user, rules.UDP, deviceStranger)
	if !in {
		t.Fatal("the hole is closed: say so in the documentation")
	}
	defer unix.Close(fd)
	r.mustAdmit(user, d, 1)
	r.as(root, func() error {
		wantNamed(t, d, true, user, deviceStranger)
		return nil
	})
}

func TestAdmitOfAnotherUser(t *testing.T) {
	r := newRoom(t)
	d, _ := r.mustOpen(root, group(rules.UDP, 1), rules.Owned)
	_, err := r.admit(user, d, 1)
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_CHOWN, or a socket that") {
		t.Errorf("into the owned tier: %v", err)
	}
	r.wantKept(d, root, rules.Owned)

	r = newRoom(t)
	d, _ = r.mustOpen(user, group(rules.UDP, 1), rules.Guarded)
	_, err = r.admit(other, d, 1)
	wantInUse(t, err)
	r.wantKept(d, user, rules.Guarded)
}

func TestSole(t *testing.T) {
	for _, proto := range []rules.Proto{rules.UDP, rules.TCP} {
		r := newRoom(t)
		o := group(proto, 1)
		o.Shared = false
		d, members := r.mustOpen(user, o, rules.Owned)
		if len(members) != 1 || d.Addr() != at("[::]:4433") {
			t.Errorf("members %v at %s", members, d.Addr())
		}
		r.wantKept(d, user, rules.Owned)
		if _, err := d.Admit(1); err != ErrSole {
			t.Errorf("admit: %v", err)
		}
		if h := d.Handover(); h.Owned || len(h.FDs) != 0 {
			t.Errorf("hands over %+v", h)
		}
	}
}

// wantFree fails unless nobody has the port.
func (r room) wantFree() {
	r.t.Helper()
	fd, in := r.try(root, rules.UDP, stranger{addr: "::"})
	if !in {
		holders, err := Holders(rules.UDP, port)
		r.t.Errorf("the port is taken by %+v, %v", holders, err)
		return
	}
	unix.Close(fd)
}

func TestThePortIsFreeAtOnce(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		o.Spares = 1
		d, members := r.mustOpen(uid, o, tier)
		d.Release()
		d.Release()
		if _, in := r.try(other, rules.UDP, stranger{addr: "::"}); in {
			t.Error("free although members are open")
		}
		for i, fd := range members {
			unix.Close(fd)
			members[i] = -1
		}
		r.wantFree()
	})
}
