// SPDX-License-Identifier: MIT

package portres

import (
	"net"
	"os"
	"slices"
	"testing"

	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// wantAnswer asks in h's namespace, and fails unless the answer is this one.
func (h *host) wantAnswer(spec Spec, outcome rules.Outcome, reason rules.Reason) (d rules.Decision) {
	h.Helper()
	h.ns.Do(h, func() (err error) {
		d, err = Ask(h.dir, spec)
		return err
	})
	if d.Outcome != outcome || d.Reason != reason {
		h.Errorf("%v, %v: %s; want %v, %v", d.Outcome, d.Reason, d.Sentence(), outcome, reason)
	}
	return d
}

// listen binds UDP port 4433 in h's namespace, until the test ends or stop.
func (h *host) listen() (stop func()) {
	h.Helper()
	var conn net.PacketConn
	h.ns.Do(h, func() (err error) {
		conn, err = net.ListenPacket("udp", ":4433")
		return err
	})
	h.Cleanup(func() { conn.Close() })
	return func() { conn.Close() }
}

func TestAskWhatNobodyHas(t *testing.T) {
	h := newHost(t)
	h.wantAnswer(exclusively(rules.Listener), rules.Granted, rules.PortFree)
	h.wantAnswer(member(1), rules.Opens, rules.PortFree)
	if names, err := h.dir.Names(); err != nil || len(names) != 0 {
		t.Errorf("it left %v, %v", names, err)
	}
}

func TestAskSeesForeignSockets(t *testing.T) {
	h := newHost(t)
	stop := h.listen()
	d := h.wantAnswer(exclusively(rules.Listener), rules.Refused, rules.HeldByForeign)
	if d.Holder.Process != os.Getpid() || d.Holder.UID != 0 {
		t.Errorf("held by %+v", d.Holder)
	}
	stop()
	h.wantAnswer(exclusively(rules.Listener), rules.Granted, rules.PortFree)
}

// The sockets of a claimed port are those of its holder.
func TestAskKnowsTheHolderOfAClaimedPort(t *testing.T) {
	h := newHost(t)
	claim := h.claim(member(1))
	h.listen()
	h.wantAnswer(exclusively(rules.Client), rules.Refused, rules.HeldShared)
	h.wantAnswer(member(1), rules.Refused, rules.IdentifierTaken)
	h.wantAnswer(member(2), rules.Joins, rules.OtherIdentifier)
	h.must(claim.Release())
	h.wantAnswer(member(2), rules.Refused, rules.HeldByForeign)
	h.wantList()
}

// Asking for somebody else, with a reservation, changes who asks.
func TestAskForOthers(t *testing.T) {
	h := newHost(t)
	h.claim(member(1))
	spec := member(2)
	spec.Party.UID = alice
	h.wantAnswer(spec, rules.Refused, rules.OtherUser)
	spec.Reservation = &rules.Reservation{Encoding: nine, Permitted: true}
	h.wantAnswer(spec, rules.Joins, rules.OtherIdentifier)
	spec.Reservation.Permitted = false
	h.wantAnswer(spec, rules.Refused, rules.NotPermitted)
}

func TestListPort(t *testing.T) {
	h := newHost(t)
	other := exclusively(rules.Listener)
	other.Port = 443
	h.claim(other)
	if list, err := ListPort(h.dir, rules.UDP, 4433); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	h.claim(member(1))
	h.claim(member(2))
	list, err := ListPort(h.dir, rules.UDP, 4433)
	h.must(err)
	all, err := List(h.dir)
	h.must(err)
	if len(all) != 3 || !slices.Equal(list, all[1:]) {
		t.Errorf("%+v of %+v", list, all)
	}
}

func TestStrangersAreNoHolders(t *testing.T) {
	claims := []Held{{Party: rules.Party{Process: 7}}, {Party: rules.Party{Process: 8}}, {}}
	for _, test := range []struct {
		socket rules.Party
		ours   bool
	}{
		{rules.Party{Process: 7}, true},
		{rules.Party{Process: 8, UID: 1000}, true},
		{rules.Party{Process: 9}, false},
		{rules.Party{UID: hold.OwnerUID}, true},
		{rules.Party{Process: 9, UID: hold.OwnerUID}, true},
		{rules.Party{}, false}, // not known, as that of the last claim
	} {
		if got := isOurs(test.socket, claims); got != test.ours {
			t.Errorf("%+v: %v", test.socket, got)
		}
	}
	if isOurs(rules.Party{Process: 7, UID: hold.OwnerUID}, nil) {
		t.Error("without a claim all sockets are strangers'")
	}
}

func TestStrangers(t *testing.T) {
	h := newHost(t)
	h.listen()
	for claims, want := range map[int]int{os.Getpid(): 0, 1: 1} {
		h.ns.Do(t, func() error {
			list, err := Strangers(rules.UDP, 4433, []Held{{Party: rules.Party{Process: claims}}})
			if len(list) != want {
				t.Errorf("%+v, want %d", list, want)
			}
			return err
		})
	}
}
