// SPDX-License-Identifier: MIT

package demo

import (
	"bytes"
	"testing"
)

func TestGeneratedIDsCarryTheIdentifier(t *testing.T) {
	g := cidGenerator{[]byte{1, 2, 3, 4, 5, 6}}
	seen := map[string]bool{}
	for range 100 {
		id, err := g.GenerateConnectionID()
		if err != nil {
			t.Fatal(err)
		}
		b := id.Bytes()
		if len(b) != g.ConnectionIDLen() || !bytes.Equal(b[identifierOffset:identifierOffset+6], g.identifier) {
			t.Errorf("%x does not carry %x at %d", b, g.identifier, identifierOffset)
		}
		if seen[string(b)] {
			t.Errorf("%x twice", b)
		}
		seen[string(b)] = true
	}
}
