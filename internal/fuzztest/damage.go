// SPDX-License-Identifier: MIT

package fuzztest

import (
	"encoding/binary"
	"math/rand/v2"
)

// Damage changes bytes at random behind the first keep, in place or at the end: once in two times not at all, else
// up to three times. It returns at least keep bytes and at most as many as b has room for, and allocates nothing.
func Damage(random *rand.Rand, b []byte, keep int) []byte {
	for range max(0, random.IntN(7)-3) {
		b = damageOnce(random, b, keep)
	}
	return b
}

func damageOnce(random *rand.Rand, b []byte, keep int) []byte {
	if random.IntN(4) == 0 {
		return b[:keep+random.IntN(len(b)-keep+1)]
	}
	if random.IntN(4) == 0 {
		return extend(random, b)
	}
	if len(b) <= keep+1 {
		return b
	}
	at := keep + random.IntN(len(b)-keep-1)
	switch random.IntN(4) {
	case 0:
		b[at] ^= 1 << random.IntN(8)
	case 1:
		b[at] = byte(random.Uint32())
	case 2:
		b[at] = edges[random.IntN(len(edges))]
	default:
		n := binary.BigEndian.Uint16(b[at:])
		binary.BigEndian.PutUint16(b[at:], n+uint16(random.IntN(9))-4)
	}
	return b
}

// edges are bytes at which a length or a type is about to be another.
var edges = []byte{0, 1, 4, 7, 8, 17, 20, 21, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff}

// extend adds up to 64 random bytes.
func extend(random *rand.Rand, b []byte) []byte {
	for range min(random.IntN(65), cap(b)-len(b)) {
		b = append(b, byte(random.Uint32()))
	}
	return b
}
