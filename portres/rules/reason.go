// SPDX-License-Identifier: MIT

package rules

// Reason says why a [Decision] is what it is. Of several refusals the one
// whose reason comes last here is given: it would remain if the others went.
type Reason uint8

const (
	_ Reason = iota

	// Of grants.
	PortFree        // nobody has it
	OtherIdentifier // those who have it have other identifiers
	SameUser        // all sockets have SO_REUSEPORT and belong to one user
	AnyPort         // any port will do, and this one cannot be had

	// Of grants and refusals.
	NoSteering // neither BPF steering nor XDP can be had

	// Of refusals.
	HeldShared          // CIBIR listeners share it
	HeldAlone           // a CIBIR listener without steering has it
	HeldExclusively     // a listener without CIBIR, or a client, has it
	EncodingDiffers     // its CIBIR listeners encode identifiers in another way
	IdentifierTaken     // one of its CIBIR listeners has this identifier
	OtherUser           // another user's CIBIR listeners share it
	HeldByForeign       // a program that knows nothing of us has it
	ReservedShared      // reserved for CIBIR listeners
	ReservedEncoding    // reserved for CIBIR listeners of another encoding
	ReservedExclusively // reserved for one exclusive holder
	NotPermitted        // reserved for other users
	BadRequest          // the request contradicts itself
)

var reasonNames = []string{
	PortFree: "port-free", OtherIdentifier: "other-identifier", SameUser: "same-user", AnyPort: "any-port",
	NoSteering: "no-steering",
	HeldShared: "held-shared", HeldAlone: "held-alone", HeldExclusively: "held-exclusively",
	EncodingDiffers: "encoding-differs", IdentifierTaken: "identifier-taken", OtherUser: "other-user",
	HeldByForeign: "held-by-foreign", ReservedShared: "reserved-shared", ReservedEncoding: "reserved-encoding",
	ReservedExclusively: "reserved-exclusively", NotPermitted: "not-permitted", BadRequest: "bad-request",
}

func (r Reason) String() string               { return name(reasonNames, r) }
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
