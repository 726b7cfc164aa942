// SPDX-License-Identifier: MIT

package frame

import (
	"encoding/binary"
	"math/bits"
)

// Checksum says who completes the checksum of UDP.
type Checksum uint8

const (
	// Full is the checksum over pseudo-header, header and payload.
	Full Checksum = iota
	// Partial is the sum over the pseudo-header alone. The kernel or the device
	// adds the rest: it is told by TX metadata with [Headers.ChecksumStart] and
	// [ChecksumOffset].
	Partial
)

// The sums of this file are those of RFC 1071, in the byte order of this
// machine: swapping the bytes of all words swaps the bytes of the sum. So
// words are loaded as they lie, and the sum is stored as it is.

// sum adds the 16-bit words of b to s. An odd last byte counts as if a zero
// followed.
func sum(s uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 64 { // unrolled: the carry then stays in the processor's flag
		w := b[:64]
		s, carry = bits.Add64(s, binary.NativeEndian.Uint64(w), carry)
		s, carry = bits.Add64(s, binary.NativeEndian.Uint64(w[8:]), carry)
		s, carry = bits.Add64(s, binary.NativeEndian.Uint64(w[16:]), carry)
		s, carry = bits.Add64(s, binary.NativeEndian.Uint64(w[24:]), carry)
		s, carry = bits.Add64(s, binary.NativeEndian.Uint64(w[32:]), carry)
		s, carry = bits.Add64(s, binary.NativeEndian.Uint64(w[40:]), carry)
		s, carry = bits.Add64(s, binary.NativeEndian.Uint64(w[48:]), carry)
		s, carry = bits.Add64(s, binary.NativeEndian.Uint64(w[56:]), carry)
		b = b[64:]
	}
	for len(b) >= 8 {
		s, carry = bits.Add64(s, binary.NativeEndian.Uint64(b), carry)
		b = b[8:]
	}
	if len(b) >= 4 {
		s, carry = bits.Add64(s, uint64(binary.NativeEndian.Uint32(b)), carry)
		b = b[4:]
	}
	if len(b) >= 2 {
		s, carry = bits.Add64(s, uint64(binary.NativeEndian.Uint16(b)), carry)
		b = b[2:]
	}
	if len(b) > 0 {
		s, carry = bits.Add64(s, uint64(networkOrder(uint16(b[0])<<8)), carry)
	}
	s, carry = bits.Add64(s, carry, 0)
	return s + carry
}

// sumHeader is the sum over an IPv4 header, which mostly has no options.
func sumHeader(ip []byte) uint64 {
	if len(ip) != ipv4Len {
		return sum(0, ip)
	}
	s, carry := bits.Add64(binary.NativeEndian.Uint64(ip), binary.NativeEndian.Uint64(ip[8:]), 0)
	s, carry = bits.Add64(s, uint64(binary.NativeEndian.Uint32(ip[16:])), carry)
	return s + carry
}

// add adds one word given in host order.
func add(s uint64, v uint16) uint64 {
	s, carry := bits.Add64(s, uint64(networkOrder(v)), 0)
	return s + carry
}

// networkOrder returns the number that has, in this machine's memory, the
// bytes that v has on the wire.
func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16([]byte{byte(v >> 8), byte(v)})
}

// fold reduces a sum to 16 bits. Only a sum of zeros folds to 0.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff // at most 33 bits
	s = s>>16 + s&0xffff     // 18
	s = s>>16 + s&0xffff     // 17
	s = s>>16 + s&0xffff
	return uint16(s)
}
