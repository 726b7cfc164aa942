// SPDX-License-Identifier: MIT

package rules

// Outcome is what comes of a request.
type Outcome uint8

const (
	Refused     Outcome = iota
	Granted             // exclusively
	Opens               // as the first of a shared port
	Joins               // a shared port that others have
	ServesAlone         // a CIBIR listener without steering: exclusively
	OtherPort           // the kernel chooses another port
	Shares              // the kernel lets a foreign socket in beside others
)

var outcomeNames = []string{"refused", "granted", "opens", "joins", "serves alone", "other port", "shares"}

func (o Outcome) String() string               { return name(outcomeNames, o) }
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Decision is the answer to a [Request].
type Decision struct {
	Outcome Outcome
	Reason  Reason
	Holder  *Party // who stands in the way, or is joined; nil if nobody or unknown

	// What was asked, and the reservation that bears on it: Sentence needs them.
	Proto       Proto
	Port        uint16
	Asker       Request
	Reservation *Reservation // nil if it has no part in the decision
}
