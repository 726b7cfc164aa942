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

// Version is the version of the protocol that this package speaks. Gate and
// version bytes are at the same place in every version.
const Version = 1

// Slots is how many CIBIR listeners can share a port.
const Slots = 4096

// Offsets of the bytes that are locked, all beyond the text.
const (
	gateAt       = int64(1) << 40 // one writer, during every change
	versionAt    = int64(1) << 41 // + version: shared by all claims of it
	modeAt       = int64(1) << 42 // exclusive: one writer; shared: readers
	encodingAt   = int64(1) << 43 // + encoding: shared by all members
	slotAt       = int64(1) << 44 // + slot: one writer
	userAt       = int64(1) << 45 // + uid: shared by all claims of that user
	identifierAt = int64(1) << 62 // + number of the identifier: one writer
)

// How many bytes there are at these offsets.
const (
	versions  = 1 << 16
	encodings = 1 << 24
	users     = 1 << 32
)

func encodingByte(e cibir.Encoding) int64 {
	return encodingAt + (int64(e.Length)<<16 | int64(e.SourceOffset)<<8 | int64(e.DestinationOffset))
}

// encodingOf is the reverse of encodingByte.
func encodingOf(at int64) cibir.Encoding {
	n := at - encodingAt
	return cibir.Encoding{Length: uint8(n >> 16), SourceOffset: uint8(n >> 8), DestinationOffset: uint8(n)}
}

func userByte(uid uint32) int64 { return userAt + int64(uid) }

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
