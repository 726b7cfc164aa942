// SPDX-License-Identifier: MIT

package rules

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/cibir"
	"golang.org/x/sys/unix"
)

// Everybody asks as uid 1000, with identifier 0a0b where CIBIR is asked for.
const (
	user      = 1000
	otherUser = 1001
)

var encoded = cibir.Encoding{Length: 2, SourceOffset: 9, DestinationOffset: 9}

func id(s string) cibir.ID {
	id, err := cibir.ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

type ask struct {
	name string
	Request
}

// The columns of the matrix.
var asks = []ask{
	{"foreign bind", Request{Party: Party{UID: user}}},
	{"foreign bind, SO_REUSEPORT", Request{Party: Party{UID: user, ReusePort: true}}},
	{"foreign bind, SO_REUSEPORT, on an interface", Request{Party: Party{UID: user, ReusePort: true, DeviceBound: true}}},
	{"foreign bind, SO_REUSEPORT, other uid", Request{Party: Party{UID: otherUser, ReusePort: true}}},
	{"foreign autobind", Request{Party: Party{UID: user}, AutoPort: true}},
	{"foreign autobind, SO_REUSEPORT", Request{Party: Party{UID: user, ReusePort: true}, AutoPort: true}},
	{"foreign autobind, SO_REUSEPORT, on an interface", Request{Party: Party{UID: user, ReusePort: true, DeviceBound: true}, AutoPort: true}},
	{"listener", Request{Party: Party{Kind: Listener, UID: user}}},
	{"listener, XDP", Request{Party: Party{Kind: Listener, UID: user, XDP: true}}},
	{"listener, port 0", Request{Party: Party{Kind: Listener, UID: user}, AutoPort: true}},
	{"client, explicit port", Request{Party: Party{Kind: Client, UID: user}}},
	{"client with CIBIR, explicit port", Request{Party: Party{Kind: Client, UID: user, ID: id("0a0b"), Encoding: encoded}}},
	{"client, ephemeral port", Request{Party: Party{Kind: Client, UID: user}, AutoPort: true}},
	{"client with CIBIR, ephemeral port", Request{Party: Party{Kind: Client, UID: user, ID: id("0a0b"), Encoding: encoded}, AutoPort: true}},
	{"CIBIR, XDP", Request{Party: Party{Kind: CIBIR, UID: user, XDP: true, ID: id("0a0b"), Encoding: encoded, Steering: true}}},
	{"CIBIR", Request{Party: Party{Kind: CIBIR, UID: user, ID: id("0a0b"), Encoding: encoded, Steering: true}}},
	{"CIBIR, no steering", Request{Party: Party{Kind: CIBIR, UID: user, ID: id("0a0b"), Encoding: encoded}}},
	{"CIBIR, XDP, port 0", Request{Party: Party{Kind: CIBIR, UID: user, XDP: true, ID: id("0a0b"), Encoding: encoded, Steering: true}, AutoPort: true}},
	{"CIBIR, port 0", Request{Party: Party{Kind: CIBIR, UID: user, ID: id("0a0b"), Encoding: encoded, Steering: true}, AutoPort: true}},
	{"CIBIR, no steering, port 0", Request{Party: Party{Kind: CIBIR, UID: user, ID: id("0a0b"), Encoding: encoded}, AutoPort: true}},
	{"QTIP", Request{Party: Party{Kind: QTIP, UID: user, XDP: true}}},
	{"QTIP, port 0", Request{Party: Party{Kind: QTIP, UID: user, XDP: true}, AutoPort: true}},
}

var badRequest = ask{"CIBIR without identifier", Request{Party: Party{Kind: CIBIR, UID: user}}}

// matrix has a line for each situation and a field for each of asks, in their
// order: the foreign ones | listeners | clients | CIBIR, CIBIR port 0 | QTIP.
//
//	R  refused with EADDRINUSE         o  the kernel chooses another port
//	U  refused with EOPNOTSUPP         S  shares with the sockets there
//	G  granted, exclusively            J  joins
//	P  opens a shared port             A  serves alone
//
// Three letters are for a holder that is unguarded, guarded, owned. Two are for
// a reservation that is not enforced, and one that is.
const matrix = `
free                                       : G   G   G   G   G   G   G   | G G G | G G G G | P P A  P P A | G G
crashed holder                             : G   G   G   G   G   G   G   | G G G | G G G G | P P A  P P A | G G
other network namespace                    : G   G   G   G   G   G   G   | G G G | G G G G | P P A  P P A | G G

foreign                                    : R   R   R   R   o   o   o   | R R o | R R o o | R R R  o o o | R o
foreign, other uid                         : R   R   R   R   o   o   o   | R R o | R R o o | R R R  o o o | R o
foreign, SO_REUSEPORT                      : R   S   S   R   o   S   S   | R R o | R R o o | R R R  o o o | R o
foreign, SO_REUSEPORT, other uid           : R   R   R   S   o   o   o   | R R o | R R o o | R R R  o o o | R o

listener                                   : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
listener, XDP                              : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
listener, other uid                        : R   R   R   SRR o   o   o   | R R o | R R o o | R R R  o o o | R o
listener, other datapath                   : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
QTIP                                       : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
client                                     : R   R   R   R   o   o   o   | R R o | R R o o | R R R  o o o | R o
client, other datapath                     : R   R   R   R   o   o   o   | R R o | R R o o | R R R  o o o | R o

CIBIR, serves alone                        : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
CIBIR, serves alone, same identifier       : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
CIBIR, same identifier                     : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
CIBIR, same identifier, XDP                : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
CIBIR, same identifier, other uid          : R   R   R   SRR o   o   o   | R R o | R R o o | R R R  o o o | R o
CIBIR, same identifier, other datapath     : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
CIBIR, another identifier                  : R   SRR SSR R   o   Soo SSo | R R o | R R o o | J J U  o o o | R o
CIBIR, another identifier, XDP             : R   SRR SSR R   o   Soo SSo | R R o | R R o o | J J U  o o o | R o
CIBIR, another identifier, other uid       : R   R   R   SRR o   o   o   | R R o | R R o o | R R R  o o o | R o
CIBIR, another identifier, other datapath  : R   SRR SSR R   o   Soo SSo | R R o | R R o o | J J U  o o o | R o
CIBIR, another encoding                    : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
CIBIR, another encoding, XDP               : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
two CIBIR, other identifiers               : R   SRR SSR R   o   Soo SSo | R R o | R R o o | J J U  o o o | R o
two CIBIR, one with the same identifier    : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o
CIBIR and an intruder                      : R   SRR SSR R   o   Soo SSo | R R o | R R o o | R R R  o o o | R o

reserved, exclusive, permitted             : G   G   G   G   o   o   o   | G G o | G G o o | R R R  o o o | G o
reserved, exclusive, not permitted         : GR  GR  GR  GR  o   o   o   | R R o | R R o o | R R R  o o o | R o
reserved, shared, permitted                : G   G   G   G   o   o   o   | R R o | R R o o | P P U  o o o | R o
reserved, shared, another encoding         : G   G   G   G   o   o   o   | R R o | R R o o | R R R  o o o | R o
reserved, shared, not permitted            : GR  GR  GR  GR  o   o   o   | R R o | R R o o | R R R  o o o | R o
reserved, shared, permitted; CIBIR         : R   SRR SSR R   o   o   o   | R R o | R R o o | J J U  o o o | R o
reserved, shared, permitted; other uid's   : R   R   R   SRR o   o   o   | R R o | R R o o | J J U  o o o | R o
reserved, shared, not permitted; CIBIR     : R   SRR SSR R   o   o   o   | R R o | R R o o | R R R  o o o | R o
reserved, exclusive, permitted; listener   : R   SRR SSR R   o   o   o   | R R o | R R o o | R R R  o o o | R o
`

// situations are the rows of the matrix. A holder that is not alone on the port
// has the tier of the others.
var situations = map[string]State{
	"free": held(),
	// The rules see neither: their locks and sockets are gone, or elsewhere.
	"crashed holder":          held(),
	"other network namespace": held(),

	"foreign":                          held(Party{UID: user}),
	"foreign, other uid":               held(Party{UID: otherUser}),
	"foreign, SO_REUSEPORT":            held(Party{UID: user, ReusePort: true}),
	"foreign, SO_REUSEPORT, other uid": held(Party{UID: otherUser, ReusePort: true}),

	"listener":                 held(Party{Kind: Listener, UID: user}),
	"listener, XDP":            held(Party{Kind: Listener, UID: user, XDP: true}),
	"listener, other uid":      held(Party{Kind: Listener, UID: otherUser}),
	"listener, other datapath": held(Party{Kind: Listener, UID: user, SameProcess: true}),
	"QTIP":                     held(Party{Kind: QTIP, UID: user, XDP: true}),
	"client":                   held(Party{Kind: Client, UID: user}),
	"client, other datapath":   held(Party{Kind: Client, UID: user, SameProcess: true}),

	"CIBIR, serves alone":                       held(Party{Kind: CIBIR, UID: user, ID: id("0c0d"), Encoding: encoded, Alone: true}),
	"CIBIR, serves alone, same identifier":      held(Party{Kind: CIBIR, UID: user, ID: id("0a0b"), Encoding: encoded, Alone: true}),
	"CIBIR, same identifier":                    held(member(user, "0a0b")),
	"CIBIR, same identifier, XDP":               held(xdp(member(user, "0a0b"))),
	"CIBIR, same identifier, other uid":         held(member(otherUser, "0a0b")),
	"CIBIR, same identifier, other datapath":    held(sameProcess(member(user, "0a0b"))),
	"CIBIR, another identifier":                 held(member(user, "0c0d")),
	"CIBIR, another identifier, XDP":            held(xdp(member(user, "0c0d"))),
	"CIBIR, another identifier, other uid":      held(member(otherUser, "0c0d")),
	"CIBIR, another identifier, other datapath": held(sameProcess(member(user, "0c0d"))),
	"CIBIR, another encoding":                   held(otherEncoding(member(user, "0c0d"))),
	"CIBIR, another encoding, XDP":              held(xdp(otherEncoding(member(user, "0c0d")))),
	"two CIBIR, other identifiers":              held(member(user, "0c0d"), member(user, "0e0f")),
	"two CIBIR, one with the same identifier":   held(member(user, "0c0d"), member(user, "0a0b")),
	"CIBIR and an intruder":                     held(member(user, "0c0d"), Party{UID: user, ReusePort: true}),

	"reserved, exclusive, permitted":           reserved(Reservation{Exclusive: true, Permitted: true}),
	"reserved, exclusive, not permitted":       reserved(Reservation{Exclusive: true}),
	"reserved, shared, permitted":              reserved(Reservation{Encoding: encoded, Permitted: true}),
	"reserved, shared, another encoding":       reserved(Reservation{Encoding: cibir.Encoding{Length: 2}, Permitted: true}),
	"reserved, shared, not permitted":          reserved(Reservation{Encoding: encoded}),
	"reserved, shared, permitted; CIBIR":       reserved(Reservation{Encoding: encoded, Permitted: true}, member(user, "0c0d")),
	"reserved, shared, permitted; other uid's": reserved(Reservation{Encoding: encoded, Permitted: true}, member(otherUser, "0c0d")),
	"reserved, shared, not permitted; CIBIR":   reserved(Reservation{Encoding: encoded}, member(user, "0c0d")),
	"reserved, exclusive, permitted; listener": reserved(Reservation{Exclusive: true, Permitted: true}, Party{Kind: Listener, UID: user}),
}

func held(holders ...Party) State { return State{Proto: UDP, Port: 4433, Holders: holders} }

func reserved(r Reservation, holders ...Party) State {
	s := held(holders...)
	s.Reservation = &r
	return s
}

func member(uid uint32, identifier string) Party {
	return Party{Kind: CIBIR, UID: uid, ID: id(identifier), Encoding: encoded}
}

func xdp(p Party) Party           { p.XDP = true; return p }
func sameProcess(p Party) Party   { p.SameProcess = true; return p }
func otherEncoding(p Party) Party { p.Encoding.SourceOffset++; return p }

func letter(d Decision) string {
	if d.Errno() == unix.EOPNOTSUPP {
		return "U"
	}
	return map[Outcome]string{Refused: "R", OtherPort: "o", Shares: "S", Joins: "J", ServesAlone: "A", Opens: "P", Granted: "G"}[d.Outcome]
}

// variants returns the situations that the letters of a cell are for.
func variants(s State, letters string) []State {
	if len(letters) == 2 {
		return byEnforcement(s)
	}
	return byTier(s)
}

func byEnforcement(s State) (all []State) {
	for _, enforced := range []bool{false, true} {
		r := *s.Reservation
		r.Enforced = enforced
		all = append(all, reserved(r, s.Holders...))
	}
	return all
}

func byTier(s State) (all []State) {
	for _, tier := range []Tier{Unguarded, Guarded, Owned} {
		v := s
		v.Holders = nil
		for _, p := range s.Holders {
			p.Tier = tier
			v.Holders = append(v.Holders, p)
		}
		all = append(all, v)
	}
	return all
}

// everyState returns all situations in all variants, always in the same order.
// All is known of the holders.
func everyState() (all []State) {
	for _, name := range slices.Sorted(maps.Keys(situations)) {
		s := situations[name]
		s.Holders = nil
		for _, p := range situations[name].Holders {
			s.Holders = append(s.Holders, known(p))
		}
		all = append(all, byTier(s)...)
		if s.Reservation != nil {
			all = append(all, byEnforcement(s)...)
		}
	}
	return all
}

// known is a holder of which all is known.
func known(p Party) Party {
	p.Process = 4711
	p.Program = "server"
	p.Since = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return p
}

func TestMatrix(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(matrix) {
		name, cells, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name = strings.TrimSpace(name)
		fields := strings.Fields(strings.ReplaceAll(cells, "|", ""))
		state, ok := situations[name]
		if !ok || seen[name] || len(fields) != len(asks) {
			t.Errorf("%q: known %v, seen before %v, %d cells, want %d", name, ok, seen[name], len(fields), len(asks))
			continue
		}
		seen[name] = true
		for i, letters := range fields {
			all := variants(state, letters)
			if len(letters) == 1 {
				letters = strings.Repeat(letters, len(all))
			}
			for j, s := range all {
				if got := letter(Decide(s, asks[i].Request)); got != letters[j:j+1] {
					t.Errorf("%s × %s, variant %d: %s, want %c", name, asks[i].name, j, got, letters[j])
				}
			}
		}
	}
	for name := range situations {
		if !seen[name] {
			t.Errorf("%q has no line in the matrix", name)
		}
	}
}
