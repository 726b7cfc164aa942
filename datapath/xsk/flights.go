// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Flights says of each TX chunk of a UMEM whether it is in flight: named in a TX
// ring and not yet given back through COMPLETION. It lies in memory that all
// members share, one word per chunk, zero at first:
//
//	bit 0      in flight
//	bits 1-31  the COMPLETION index that ended the last flight, plus one, modulo 2^31
//
// The index tells a completion that somebody else has already counted, for a flight
// before, from the one of the flight that is under way.
//
// The owner of a chunk begins flights; any member that reaps COMPLETION ends them.
type Flights struct {
	words []uint32
	first uint32 // number in the UMEM of the chunk of words[0]
	shift uint32 // log2 of the chunk size
}

// inFlight is the bit that the owner sets.
const inFlight = 1

// NewFlights describes TX chunks in words, which must be in memory that starts with
// zeros when the UMEM is made and is shared like it. The chunk of words[0] is
// number first of the UMEM, whose chunks have chunk bytes.
func NewFlights(words []uint32, first, chunk uint32) (*Flights, error) {
	if !powerOfTwo(chunk) || len(words) == 0 {
		return nil, fmt.Errorf("xsk: flights of %d chunks of %d bytes: some chunks, of a power of two of bytes", len(words), chunk)
	}
	return &Flights{words: words, first: first, shift: uint32(bits.TrailingZeros32(chunk))}, nil
}

// Begin says that chunk n of the UMEM is in flight. Its owner calls it before the
// descriptor is in the TX ring, for a chunk that is not in flight.
func (f *Flights) Begin(n uint32) {
	word := &f.words[n-f.first]
	atomic.StoreUint32(word, atomic.LoadUint32(word)|inFlight)
}

// Busy reports whether chunk n is in flight.
func (f *Flights) Busy(n uint32) bool {
	return atomic.LoadUint32(&f.words[n-f.first])&inFlight != 0
}

// Abandon ends the flight of chunk n whose completion will not come, because its
// socket is gone.
func (f *Flights) Abandon(n uint32) {
	atomic.AndUint32(&f.words[n-f.first], ^uint32(inFlight))
}

// word returns the word of the chunk that holds an address, nil for an address that
// is not of a TX chunk.
func (f *Flights) word(addr uint64) *uint32 {
	n := addr>>f.shift - uint64(f.first)
	if n >= uint64(len(f.words)) {
		return nil
	}
	// Safety: n is in range.
	return (*uint32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(f.words)), n*4))
}
