// SPDX-License-Identifier: MIT

package rules

import (
	"cmp"
	"slices"
)

// Decide answers a request for a port. The order of the holders changes neither
// outcome nor reason.
func Decide(s State, r Request) Decision {
	d := Decision{Reason: BadRequest, Proto: s.Proto, Port: s.Port, Asker: r}
	if r.consistent() {
		e := slices.MinFunc(encounters(s, r), stricter)
		d.Outcome, d.Reason = e.answer().outcome, e.answer().reason
		d.Holder, d.Reservation = e.holder, e.reservation
	}
	return d
}

// consistent is false where no answer would make sense.
func (r Request) consistent() bool {
	if r.Kind == CIBIR {
		return r.Encoding.Validate() == nil && r.ID.Len() == int(r.Encoding.Length)
	}
	return r.Kind <= QTIP
}

// An encounter is what a request meets: a holder, or the reservation, or neither.
type encounter struct {
	proto       Proto
	ask         Request
	holder      *Party
	reservation *Reservation

	// A reservation of this port lets the asking user share it, whoever has it.
	sharingPermitted bool
}

// encounters returns all that a request meets; where there is nothing, the one
// with nobody.
func encounters(s State, r Request) []encounter {
	nobody := encounter{proto: s.Proto, ask: r}
	var all []encounter
	for _, holder := range s.Holders {
		e := nobody
		e.holder = &holder
		e.sharingPermitted = s.Reservation != nil && s.Reservation.Permitted && !s.Reservation.Exclusive
		all = append(all, e)
	}
	if s.Reservation != nil {
		e, reservation := nobody, *s.Reservation
		e.reservation = &reservation
		all = append(all, e)
	}
	if len(all) == 0 {
		return []encounter{nobody}
	}
	return all
}

func (e encounter) table() *table {
	if e.ask.Kind == Foreign {
		return &strangers
	}
	return &claims
}

// answer looks into the table.
func (e encounter) answer() cell {
	t := e.table()
	row, column := t.locate(e)
	return t.rows[row].cells[column]
}

// stricter orders encounters by their answers. Outcomes and reasons are
// numbered by strictness.
func stricter(a, b encounter) int {
	one, other := a.answer(), b.answer()
	return cmp.Or(cmp.Compare(one.outcome, other.outcome), cmp.Compare(one.reason, other.reason))
}
