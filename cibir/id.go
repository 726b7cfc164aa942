// SPDX-License-Identifier: MIT

package cibir

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// MaxIDLength is the length of the longest identifier, in bytes: that of
	// the longest connection ID of QUIC version 1.
	MaxIDLength = 20
	// MaxMsQuicLength is the length of the longest identifier that MsQuic
	// takes from an application, in bytes.
	MaxMsQuicLength = 6
)

// ID is an identifier of 1 to [MaxIDLength] bytes. IDs are comparable. The zero
// value is no identifier.
type ID struct {
	length uint8
	bytes  [MaxIDLength]byte // zero beyond length, so that == compares identifiers
}

// NewID makes an identifier of a copy of b. It refuses a length that is not 1
// to [MaxIDLength].
func NewID(b []byte) (ID, error) {
	if len(b) == 0 || len(b) > MaxIDLength {
		return ID{}, fmt.Errorf("cibir: an identifier has 1 to %d bytes, this one has %d", MaxIDLength, len(b))
	}
	id := ID{length: uint8(len(b))}
	copy(id.bytes[:], b)
	return id, nil
}

// ParseID reads an identifier as people write it: two hexadecimal digits a byte
// in either case, with or without 0x before them, with or without ":" or "-"
// between the bytes, as in 0a0b, 0x0A0B, 0a:0b and 0a-0b. It refuses everything
// else, and says why.
func ParseID(s string) (ID, error) {
	digits, err := hexDigits(s)
	if err != nil {
		return ID{}, notID(s, err)
	}
	b, err := hex.DecodeString(digits)
	if errors.Is(err, hex.ErrLength) {
		err = fmt.Errorf("%d hexadecimal digits are no whole number of bytes", len(digits))
	}
	if err != nil {
		return ID{}, notID(s, err)
	}
	return NewID(b)
}

func notID(s string, why error) error {
	return fmt.Errorf("cibir: identifier %q: %w; it is written with two hexadecimal digits a byte, such as 0a0b", s, why)
}

// hexDigits returns s without what may stand before and between the bytes.
func hexDigits(s string) (string, error) {
	if len(s) >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		s = s[2:]
	}
	i := strings.IndexAny(s, ":-")
	if i < 0 {
		return s, nil
	}
	parts := strings.Split(s, s[i:i+1])
	for _, part := range parts {
		if len(part) != 2 {
			return "", fmt.Errorf("%q is not the two digits of a byte", part)
		}
	}
	return strings.Join(parts, ""), nil
}

// Bytes returns a copy of the identifier.
func (id ID) Bytes() []byte { return append([]byte(nil), id.bytes[:id.length]...) }

// Len returns the length in bytes, 0 for the zero value.
func (id ID) Len() int { return int(id.length) }

// String returns the identifier in lower-case hexadecimal digits, "" for the
// zero value. [ParseID] reads it back.
func (id ID) String() string { return hex.EncodeToString(id.bytes[:id.length]) }
