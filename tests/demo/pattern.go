// SPDX-License-Identifier: MIT

package demo

import "bytes"

// patternPeriod is a prime, so that no whole number of packets spans it.
const patternPeriod = 65521

// patternTable holds two periods: a piece of up to one can be taken anywhere.
// server/pattern.c makes the same one.
var patternTable = func() []byte {
	table := make([]byte, 2*patternPeriod)
	x := uint32(2463534242) // xorshift32
	for i := range patternPeriod {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		table[i] = byte(x >> 24)
	}
	copy(table[patternPeriod:], table)
	return table
}()

// patternAt returns n bytes, at most patternPeriod, of the stream with that
// seed from offset on.
func patternAt(seed uint32, offset int64, n int) []byte {
	at := (int64(seed) + offset) % patternPeriod
	return patternTable[at : at+int64(n)]
}

// patternMismatch returns where data, at most patternPeriod bytes, differs from
// the stream from offset on; -1 if it does not.
func patternMismatch(seed uint32, offset int64, data []byte) int64 {
	want := patternAt(seed, offset, len(data))
	if bytes.Equal(data, want) {
		return -1
	}
	i := 0
	for data[i] == want[i] {
		i++
	}
	return offset + int64(i)
}
