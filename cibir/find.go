// SPDX-License-Identifier: MIT

package cibir

// Verdict is what came of looking for an identifier in a datagram.
type Verdict uint8

const (
	// Found: the datagram carries an identifier; whether it is anybody's is another matter.
	Found Verdict = iota
	// TooShort: the datagram ends within the header, or a short header before
	// the identifier does.
	TooShort
	// NoIdentifier: the source connection ID of a long header ends before the
	// identifier would.
	NoIdentifier
)

// String returns the name by which the verdict is counted.
func (v Verdict) String() string {
	switch v {
	case Found:
		return "found"
	case TooShort:
		return "too short"
	case NoIdentifier:
		return "no identifier"
	}
	return "unknown"
}

// The header as RFC 8999 fixes it for every version. The other bits of the first
// byte, the "fixed" bit among them, and the version belong to the versions.
const (
	longHeader  = 0x80      // in the first byte: a long header
	longFixed   = 1 + 4 + 1 // first byte, version, length of the destination connection ID
	shortFixed  = 1         // first byte; the destination connection ID follows
	lengthField = 1         // the length of a connection ID in a long header
)

// Find returns the identifier that the UDP payload datagram carries, and
// whether it has one. The ID is the zero value unless the verdict is [Found].
//
// A long header has it in the source connection ID, which whoever sends it has
// chosen: at the start of a connection a client cannot know a connection ID of
// its server. A short header has it in the destination connection ID, which the
// receiver has chosen. The length of that one is not on the wire, so that all
// that can be checked is that the datagram does not end before the identifier.
//
// An encoding that [Encoding.Validate] refuses finds nothing.
func (e Encoding) Find(datagram []byte) (ID, Verdict) {
	if e.Validate() != nil {
		return ID{}, NoIdentifier
	}
	b, verdict := e.locate(datagram)
	if verdict != Found {
		return ID{}, verdict
	}
	id := ID{length: e.Length}
	copy(id.bytes[:], b)
	return id, Found
}

// Carries reports whether the identifier that [Encoding.Find] would find is id. It is
// for those who ask that of every datagram: e has been validated.
func (e Encoding) Carries(datagram []byte, id *ID) bool {
	b, verdict := e.locate(datagram)
	return verdict == Found && string(b) == string(id.bytes[:id.length])
}

// locate returns the bytes of the identifier.
func (e Encoding) locate(datagram []byte) ([]byte, Verdict) {
	if len(datagram) == 0 {
		return nil, TooShort
	}
	if datagram[0]&longHeader == 0 {
		return e.at(datagram[shortFixed:], e.DestinationOffset, TooShort)
	}
	if len(datagram) < longFixed {
		return nil, TooShort
	}
	_, rest, ok := cut(datagram[longFixed-lengthField:])
	if !ok {
		return nil, TooShort
	}
	source, _, ok := cut(rest)
	if !ok {
		return nil, TooShort
	}
	return e.at(source, e.SourceOffset, NoIdentifier)
}

// at returns the identifier at offset in b, or otherwise when b ends before it does.
func (e Encoding) at(b []byte, offset uint8, otherwise Verdict) ([]byte, Verdict) {
	end := int(offset) + int(e.Length)
	if len(b) < end {
		return nil, otherwise
	}
	return b[offset:end], Found
}

// cut splits b into the connection ID that begins it, behind its length, and
// what follows.
func cut(b []byte) (connectionID, rest []byte, ok bool) {
	if len(b) < lengthField || len(b) < lengthField+int(b[0]) {
		return nil, nil, false
	}
	end := lengthField + int(b[0])
	return b[lengthField:end], b[end:], true
}
