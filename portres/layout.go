// SPDX-License-Identifier: MIT

package portres

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Version is the version of the protocol that this package speaks, from 1 to 31.
// Every version has the gate and the range of the claim bytes, with the version
// in it, at the same place.
const Version = 1

// Slots is how many CIBIR listeners can share a port.
const Slots = 4096

// Offsets of the bytes that are locked, all beyond the text.
const (
	gateAt       = int64(1) << 40 // one writer, during every change
	slotAt       = int64(1) << 44 // + slot: one writer
	claimAt      = int64(1) << 61 // + version, encoding, uid; an exclusive claim writes, shared ones read
	identifierAt = int64(1) << 62 // + number of the identifier: one writer
)

// How the claim bytes are numbered. One lock says it all, since the time that
// the kernel takes grows with the number of locks.
const (
	claimBytes    = int64(1) << 61
	versionShift  = 56
	encodingShift = 32
)

// holding is what the lock of a claim byte says of a holder.
type holding struct {
	version   int
	exclusive bool
	encoding  cibir.Encoding // zero if exclusive
	uid       uint32
}

// claimByte returns where the lock is.
func (h holding) claimByte() int64 {
	e := int64(h.encoding.Length)<<16 | int64(h.encoding.SourceOffset)<<8 | int64(h.encoding.DestinationOffset)
	return claimAt | int64(h.version)<<versionShift | e<<encodingShift | int64(h.uid)
}

// holdingAt is the reverse of claimByte.
func holdingAt(at int64, exclusive bool) holding {
	e := at >> encodingShift
	return holding{
		version:   int((at - claimAt) >> versionShift),
		exclusive: exclusive,
		encoding:  cibir.Encoding{Length: uint8(e >> 16), SourceOffset: uint8(e >> 8), DestinationOffset: uint8(e)},
		uid:       uint32(at),
	}
}

// identifierByte gives every identifier that MsQuic can have a byte of its own,
// and spreads longer ones over 2^60 others.
func identifierByte(id cibir.ID) int64 {
	b := id.Bytes()
	if len(b) <= cibir.MaxMsQuicLength {
		n := int64(len(b))
		for i := range cibir.MaxMsQuicLength {
			n <<= 8
			if i < len(b) {
				n |= int64(b[i])
			}
		}
		return identifierAt + n
	}
	sum := sha256.Sum256(b)
	return identifierAt | 1<<60 | int64(binary.BigEndian.Uint64(sum[:])>>4)
}

// fileName returns the name of a port's file, such as udp-4433.
func fileName(proto rules.Proto, port uint16) string { return fmt.Sprintf("%v-%d", proto, port) }

// parseFileName is the reverse of fileName.
func parseFileName(name string) (proto rules.Proto, port uint16, ok bool) {
	before, after, _ := strings.Cut(name, "-")
	if proto.UnmarshalText([]byte(before)) != nil {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(after, 10, 16)
	return proto, uint16(n), err == nil && n != 0 && fileName(proto, uint16(n)) == name
}
