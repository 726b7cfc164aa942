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
const Slots = 1 << slotBits

// Offsets of the bytes that are locked, all beyond the text.
const (
	gateAt       = int64(1) << 40 // one writer, during every change
	slotAt       = int64(1) << 44 // + slot: one writer
	claimAt      = int64(1) << 61 // + version, encoding, uid; an exclusive claim writes, shared ones read
	identifierAt = int64(1) << 62 // + number of the identifier, slot: one writer
)

// How identifier bytes are numbered.
const (
	slotBits        = 12
	identifierBytes = int64(1) << (8*cibir.MaxMsQuicLength + slotBits)
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

// identifierByte returns where the lock of the member with this identifier is.
// With any slot it is one of Slots bytes, beginning with that of slot 0.
func identifierByte(id cibir.ID, slot uint32) int64 {
	return identifierAt | number(id)<<slotBits | int64(slot)
}

// number numbers the identifiers of one length, which those on one port are.
// All that MsQuic can have get numbers of their own, and longer ones get some
// number of 48 bits.
func number(id cibir.ID) (n int64) {
	b := id.Bytes()
	if len(b) > cibir.MaxMsQuicLength {
		sum := sha256.Sum256(b)
		b = sum[:cibir.MaxMsQuicLength]
	}
	for _, digit := range b {
		n = n<<8 | int64(digit)
	}
	return n
}

// memberAt is the reverse of identifierByte, for identifiers of a length that
// MsQuic can have. Of longer ones it returns none.
func memberAt(at int64, length uint8) (id cibir.ID, slot uint32) {
	slot = uint32(at % Slots)
	if length > cibir.MaxMsQuicLength {
		return cibir.ID{}, slot
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(at&(identifierBytes-1)>>slotBits))
	id, _ = cibir.NewID(b[len(b)-int(length):]) // of no length there is none
	return id, slot
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
