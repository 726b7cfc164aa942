// SPDX-License-Identifier: MIT

package demo

import (
	"crypto/rand"

	"github.com/quic-go/quic-go"
)

// cidLength and identifierOffset are those of the server's connection IDs, see
// server/cid.h: the identifier lies behind two bytes, in both directions.
const (
	cidLength        = 16
	identifierOffset = 2
)

// cidGenerator makes a client's connection IDs, which carry the identifier of
// the server that the client wants to reach.
type cidGenerator struct {
	identifier []byte
}

func (g cidGenerator) GenerateConnectionID() (quic.ConnectionID, error) {
	var id [cidLength]byte
	if _, err := rand.Read(id[:]); err != nil {
		return quic.ConnectionID{}, err
	}
	copy(id[identifierOffset:], g.identifier)
	return quic.ConnectionIDFromBytes(id[:]), nil
}

func (cidGenerator) ConnectionIDLen() int { return cidLength }
