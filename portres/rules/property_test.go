// SPDX-License-Identifier: MIT

package rules

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/cibir"
	"pgregory.net/rapid"
)

// From few values, so that they meet, and those most often that can share.
var (
	kinds     = rapid.SampledFrom([]Kind{Foreign, Listener, Client, QTIP, CIBIR, CIBIR, CIBIR, CIBIR})
	uids      = rapid.SampledFrom([]uint32{user, user, user, otherUser, 0})
	encodings = rapid.SampledFrom([]cibir.Encoding{{Length: 1}, {Length: 1}, {Length: 1}, {Length: 1, SourceOffset: 1}, {Length: 2}})
	mostly    = rapid.SampledFrom([]bool{true, true, true, false})
	parties   = rapid.Custom(func(t *rapid.T) Party {
		p := Party{
			Kind:        kinds.Draw(t, "kind"),
			XDP:         rapid.Bool().Draw(t, "xdp"),
			UID:         uids.Draw(t, "uid"),
			SameProcess: rapid.Bool().Draw(t, "same process"),
			Tier:        Tier(rapid.IntRange(int(Unguarded), int(Owned)).Draw(t, "tier")),
		}
		switch p.Kind {
		case Foreign:
			p.ReusePort = rapid.Bool().Draw(t, "reuseport")
			p.DeviceBound = rapid.Bool().Draw(t, "device")
		case CIBIR:
			p.Encoding = encodings.Draw(t, "encoding")
			b := rapid.SliceOfN(rapid.ByteRange(0, 3), int(p.Encoding.Length), int(p.Encoding.Length)).Draw(t, "id")
			p.ID, _ = cibir.NewID(b)
			p.Steering = mostly.Draw(t, "steering")
		}
		return p
	})
	requests = rapid.Custom(func(t *rapid.T) Request {
		return Request{parties.Draw(t, "asker"), !mostly.Draw(t, "this port")}
	})
	reservations = rapid.Custom(func(t *rapid.T) *Reservation {
		return &Reservation{
			Exclusive: !mostly.Draw(t, "shared"),
			Encoding:  encodings.Draw(t, "encoding"),
			Permitted: mostly.Draw(t, "permitted"),
			Enforced:  rapid.Bool().Draw(t, "enforced"),
		}
	})
	protos = rapid.SampledFrom([]Proto{UDP, TCP})
	// states are any, also such as cannot come about.
	states = rapid.Custom(func(t *rapid.T) State {
		s := State{Proto: protos.Draw(t, "proto"), Port: 4433}
		s.Holders = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Party {
			p := parties.Draw(t, "holder")
			p.Alone = p.Kind == CIBIR && rapid.Bool().Draw(t, "alone")
			return p
		}), 0, 4).Draw(t, "holders")
		if rapid.Bool().Draw(t, "reserved") {
			s.Reservation = reservations.Draw(t, "reservation")
		}
		return s
	})
)

func exclusive(p Party) bool {
	return p.Kind == Listener || p.Kind == Client || p.Kind == QTIP || p.Alone
}

// Processes of ours come and die in any order, with and without a reservation
// that comes and goes. Whoever holds a port, holds it as the rule says.
func TestHistoriesKeepTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := State{Proto: protos.Draw(t, "proto"), Port: 4433}
		sharedByUsers := false // a reservation has let users in beside each other
		ask := func(t *rapid.T) {
			r := requests.Draw(t, "request")
			switch Decide(s, r).Outcome {
			case ServesAlone:
				r.Alone = true
			case Granted, Opens:
			case Joins:
				sharedByUsers = sharedByUsers || s.Reservation != nil
			default:
				return
			}
			if r.Kind != Foreign {
				s.Holders = append(s.Holders, r.Party)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"ask":       ask,
			"ask again": ask,
			"ask more":  ask,
			"die": func(t *rapid.T) {
				if n := len(s.Holders); n != 0 {
					i := rapid.IntRange(0, n-1).Draw(t, "who")
					s.Holders = slices.Delete(s.Holders, i, i+1)
				}
				sharedByUsers = sharedByUsers && len(s.Holders) != 0
			},
			"reserve": func(t *rapid.T) {
				s.Reservation = nil
				if !mostly.Draw(t, "free") {
					s.Reservation = reservations.Draw(t, "reservation")
				}
			},
			"": func(t *rapid.T) { checkHolders(t, s.Holders, sharedByUsers) },
		})
	})
}

func checkHolders(t *rapid.T, holders []Party, sharedByUsers bool) {
	if slices.ContainsFunc(holders, exclusive) && len(holders) != 1 {
		t.Fatalf("an exclusive holder is not the only one: %+v", holders)
	}
	identifiers := map[cibir.ID]bool{}
	for _, p := range holders {
		if identifiers[p.ID] {
			t.Fatalf("an identifier is held twice: %+v", holders)
		}
		identifiers[p.ID] = true
		if p.Encoding != holders[0].Encoding || p.UID != holders[0].UID && !sharedByUsers {
			t.Fatalf("these may not share: %+v", holders)
		}
		if len(holders) > 1 && !p.Steering {
			t.Fatalf("shares without steering: %+v", holders)
		}
	}
}

func TestAnotherHolderMakesItOnlyStricter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, r := states.Draw(t, "state"), requests.Draw(t, "request")
		before := Decide(s, r)
		s.Holders = append(s.Holders, parties.Draw(t, "another"))
		if after := Decide(s, r); after.Outcome > before.Outcome {
			t.Fatalf("%v became %v", before.Outcome, after.Outcome)
		}
	})
}

func TestOrderOfHoldersDoesNotMatter(t *testing.T) {
	wantNoDifference(t, func(t *rapid.T, s *State, _ *Request) {
		s.Holders = rapid.Permutation(s.Holders).Draw(t, "order")
	})
}

func TestXDPAndProcessDoNotMatter(t *testing.T) {
	wantNoDifference(t, func(_ *rapid.T, s *State, r *Request) {
		r.XDP = !r.XDP
		for i := range s.Holders {
			s.Holders[i].XDP = !s.Holders[i].XDP
			s.Holders[i].SameProcess = !s.Holders[i].SameProcess
		}
	})
}

func wantNoDifference(t *testing.T, change func(*rapid.T, *State, *Request)) {
	rapid.Check(t, func(t *rapid.T) {
		s, r := states.Draw(t, "state"), requests.Draw(t, "request")
		before := Decide(s, r)
		change(t, &s, &r)
		if after := Decide(s, r); after.Outcome != before.Outcome || after.Reason != before.Reason {
			t.Fatalf("%v %v became %v %v", before.Outcome, before.Reason, after.Outcome, after.Reason)
		}
	})
}

// A refusal says why, and who or what is in the way; port 0 is never refused.
func TestDecisionsAreExplained(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, r := states.Draw(t, "state"), requests.Draw(t, "request")
		d := Decide(s, r)
		if d.Outcome == Refused && (r.AutoPort || d.Holder == nil && d.Reservation == nil) {
			t.Fatalf("refused by nobody, or for port 0: %+v", d)
		}
		if d.Holder != nil && (d.Reservation != nil || !slices.Contains(s.Holders, *d.Holder)) {
			t.Fatalf("not the one holder: %+v", d)
		}
		if (d.Errno() != 0) != (d.Outcome == Refused) {
			t.Fatalf("errno %d of %v", d.Errno(), d.Outcome)
		}
		if d.Reason == 0 || strings.ContainsAny(d.Sentence(), "{}") || d.Sentence() == "" {
			t.Fatalf("%v: %q", d.Reason, d.Sentence())
		}
	})
}

// Whatever the values, there is an answer, it is not a grant where the request
// makes no sense, and the state is as it was.
func TestDecideTakesAnything(t *testing.T) {
	rapid.Check(t, takesAnything())
}

// The same, with values that the fuzzer finds.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(rapid.MakeFuzz(takesAnything()))
}

func takesAnything() func(*rapid.T) {
	anything := rapid.Make[State]()
	request := rapid.Make[Request]()
	return func(t *rapid.T) {
		s, r := anything.Draw(t, "state"), request.Draw(t, "request")
		before := s
		before.Holders = slices.Clone(s.Holders)
		d := Decide(s, r)
		if d.Sentence() == "" || !r.consistent() && d.Errno() == 0 {
			t.Fatalf("%+v: %q", d, d.Sentence())
		}
		if d.Holder != nil {
			d.Holder.UID++
		}
		if d.Reservation != nil {
			d.Reservation.Permitted = !d.Reservation.Permitted
		}
		if !reflect.DeepEqual(s, before) {
			t.Fatalf("%+v became %+v", before, s)
		}
	}
}
