// SPDX-License-Identifier: MIT

package cibir

import (
	"fmt"
	"strconv"
	"strings"
)

// maxConnectionID is the length of the longest connection ID that a long header
// can hold, in bytes. Version 1 allows 20; RFC 8999 leaves the rest to later ones.
const maxConnectionID = 255

// Encoding is the place of the identifier in connection IDs. All who share a
// port use the same one. It is comparable.
type Encoding struct {
	Length            uint8 // of the identifier, 1 to MaxIDLength bytes
	SourceOffset      uint8 // in the source connection ID of a long header, in bytes
	DestinationOffset uint8 // in the destination connection ID of a short header, in bytes
}

// Validate says what is wrong with an encoding: a length that no identifier
// has, or an identifier that would end beyond the longest connection ID.
func (e Encoding) Validate() error {
	if e.Length == 0 || e.Length > MaxIDLength {
		return fmt.Errorf("cibir: encoding %v: an identifier has 1 to %d bytes, not %d", e, MaxIDLength, e.Length)
	}
	for _, offset := range []uint8{e.SourceOffset, e.DestinationOffset} {
		if int(offset)+int(e.Length) > maxConnectionID {
			return fmt.Errorf("cibir: encoding %v: %d bytes at offset %d end beyond the longest connection ID, of %d bytes",
				e, e.Length, offset, maxConnectionID)
		}
	}
	return nil
}

// String returns LENGTH@SOURCE/DESTINATION, such as 2@9/9: two bytes, at offset
// 9 in either connection ID.
func (e Encoding) String() string {
	return fmt.Sprintf("%d@%d/%d", e.Length, e.SourceOffset, e.DestinationOffset)
}

// ParseEncoding reads what [Encoding.String] writes, and 2@9 for the same
// offset in both. It refuses what [Encoding.Validate] refuses.
func ParseEncoding(s string) (Encoding, error) {
	length, offsets, found := strings.Cut(s, "@")
	if !found {
		return Encoding{}, notEncoding(s, "there is no @")
	}
	source, destination, found := strings.Cut(offsets, "/")
	if !found {
		destination = source
	}
	var e Encoding
	for _, field := range []struct {
		name, text string
		to         *uint8
	}{{"length", length, &e.Length}, {"source offset", source, &e.SourceOffset}, {"destination offset", destination, &e.DestinationOffset}} {
		n, err := strconv.ParseUint(field.text, 10, 8)
		if err != nil {
			return Encoding{}, notEncoding(s, fmt.Sprintf("the %s %q is no number from 0 to 255", field.name, field.text))
		}
		*field.to = uint8(n)
	}
	return e, e.Validate()
}

func notEncoding(s, why string) error {
	return fmt.Errorf("cibir: encoding %q: %s; it is written LENGTH@SOURCE/DESTINATION, such as 2@9/9", s, why)
}
