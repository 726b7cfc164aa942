// SPDX-License-Identifier: MIT

package rules

// Reason says why a [Decision] is what it is. Of several refusals the first in
// this order is given: it would remain if the others went.
type Reason uint8

const (
	_ Reason = iota // a cell that nobody has filled

	// Of refusals.
	BadRequest          // the request contradicts itself
	NotPermitted        // reserved for other users
	ReservedExclusively // reserved for one exclusive holder
	ReservedEncoding    // reserved for CIBIR listeners of another encoding
	ReservedShared      // reserved for CIBIR listeners
	HeldByForeign       // a program that knows nothing of us has it
	KeptOut             // the kernel keeps foreign programs off it
	HeldExclusively     // a listener without CIBIR, or a client, has it
	HeldAlone           // a CIBIR listener without steering has it
	HeldShared          // CIBIR listeners share it, and the asker cannot
	OtherUser           // CIBIR listeners of another user share it
	EncodingDiffers     // its CIBIR listeners have another encoding
	IdentifierTaken     // one of its CIBIR listeners has this identifier

	// Of refusals and grants.
	NoSteering // the asker can have neither BPF steering nor XDP

	// Of grants.
	AnyPort         // this port cannot be had, but any will do
	SameUser        // all have set SO_REUSEPORT and are of one user
	OtherIdentifier // all have other identifiers
	NotEnforced     // it is reserved for others, which does not stop foreign programs
	PortFree        // nobody has it
)

var reasonNames = []string{
	BadRequest: "bad-request", NotPermitted: "not-permitted", ReservedExclusively: "reserved-exclusively",
	ReservedEncoding: "reserved-encoding", ReservedShared: "reserved-shared", HeldByForeign: "held-by-foreign",
	KeptOut: "kept-out", HeldExclusively: "held-exclusively", HeldAlone: "held-alone", HeldShared: "held-shared",
	OtherUser: "other-user", EncodingDiffers: "encoding-differs", IdentifierTaken: "identifier-taken",
	NoSteering: "no-steering", AnyPort: "any-port", SameUser: "same-user", OtherIdentifier: "other-identifier",
	NotEnforced: "not-enforced", PortFree: "port-free",
}

func (r Reason) String() string               { return name(reasonNames, r) }
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
