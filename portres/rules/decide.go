// SPDX-License-Identifier: MIT

package rules

import "cmp"

// Decide answers a request for a port. The order of the holders changes neither
// outcome nor reason.
func Decide(s State, r Request) Decision {
	d := Decision{Reason: BadRequest, Proto: s.Proto, Port: s.Port, Asker: r}
	if !r.consistent() {
		return d
	}
	var strictest cell
	for i, e := range encounters(s, r) {
		c := e.table().cell(e)
		if i > 0 && !c.stricter(strictest) {
			continue
		}
		strictest = c
		d.Holder, d.Reservation = e.holder, e.reservation
	}
	d.Outcome, d.Reason = strictest.outcome, strictest.reason
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

func (e encounter) table() *table {
	if e.ask.Kind == Foreign {
		return &strangers
	}
	return &claims
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

// stricter orders cells: outcomes and reasons are numbered by strictness.
func (c cell) stricter(than cell) bool {
	return cmp.Or(cmp.Compare(c.outcome, than.outcome), cmp.Compare(c.reason, than.reason)) < 0
}
