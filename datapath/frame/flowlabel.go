// SPDX-License-Identifier: MIT

package frame

import (
	"encoding/binary"
	"math/bits"
)

const flowLabelBits = 20

// flowLabel returns the label of a flow (RFC 6437): the same for all its
// datagrams, spread evenly over all flows, so that routers that balance by it
// keep a flow together. It says nothing that the headers do not say.
func flowLabel(f *Flow) uint32 {
	h := uint64(f.SourcePort)<<16 | uint64(f.DestinationPort)
	for _, ip := range []*IP{&f.Source, &f.Destination} {
		h = mix(h ^ binary.BigEndian.Uint64(ip[0:]))
		h = mix(h ^ binary.BigEndian.Uint64(ip[8:]))
	}
	label := uint32(h >> (64 - flowLabelBits))
	if label == 0 { // means "not labelled"
		return 1
	}
	return label
}

// mix lets each bit of h change about half of the bits of the result: both
// halves of the product with an odd constant, without pattern in its bits (of
// the golden ratio).
func mix(h uint64) uint64 {
	hi, lo := bits.Mul64(h+0x9e3779b97f4a7c15, 0xd1342543de82ef95)
	return hi ^ lo
}
