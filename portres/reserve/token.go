// SPDX-License-Identifier: MIT

package reserve

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
)

// Token names a reservation for as long as it exists, and is never given
// again. It is a name, not a secret. 0 is no token.
type Token uint64

// tokenDigits is the length of a token's text.
const tokenDigits = 16

// newToken draws a token at random.
func newToken() Token {
	var b [8]byte
	rand.Read(b[:])
	return Token(binary.BigEndian.Uint64(b[:]))
}

// String returns sixteen hexadecimal digits.
func (t Token) String() string { return fmt.Sprintf("%0*x", tokenDigits, uint64(t)) }

// ParseToken reads what [Token.String] writes, in either case.
func ParseToken(text string) (Token, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != tokenDigits || n == 0 {
		return 0, fmt.Errorf("%q is not a token: want the %d hexadecimal digits that 'msquicxdp ports reserve' printed", text, tokenDigits)
	}
	return Token(n), nil
}

// MarshalText implements encoding.TextMarshaler.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Token) UnmarshalText(text []byte) (err error) {
	*t, err = ParseToken(string(text))
	return err
}
