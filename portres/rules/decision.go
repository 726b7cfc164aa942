// SPDX-License-Identifier: MIT

package rules

import "golang.org/x/sys/unix"

// Outcome is what comes of a request, the strictest first: a request that meets
// several holders gets the strictest that it gets of one.
type Outcome uint8

const (
	Refused     Outcome = iota
	OtherPort           // the kernel chooses another port
	Shares              // the kernel lets a foreign socket in beside others
	Joins               // a shared port that others have
	ServesAlone         // exclusively, a CIBIR listener without steering
	Opens               // as the first of a shared port
	Granted             // exclusively
)

var outcomeNames = []string{"refused", "other-port", "shares", "joins", "serves-alone", "opens", "granted"}

func (o Outcome) String() string               { return name(outcomeNames, o) }
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Decision is the answer to a [Request].
type Decision struct {
	Outcome Outcome
	Reason  Reason
	Holder  *Party // a copy of who stands in the way, or is joined; nil if nobody

	// What was decided on.
	Proto       Proto
	Port        uint16
	Asker       Request
	Reservation *Reservation // a copy of the one that decided; nil if none did
}

// Errno is what the refusal is to a caller of system calls: EADDRINUSE for
// every conflict, EOPNOTSUPP where sharing fails for want of steering, EINVAL
// for a request that contradicts itself, and 0 for what is not refused.
func (d Decision) Errno() unix.Errno {
	if d.Outcome != Refused {
		return 0
	}
	switch d.Reason {
	case NoSteering:
		return unix.EOPNOTSUPP
	case BadRequest:
		return unix.EINVAL
	}
	return unix.EADDRINUSE
}
