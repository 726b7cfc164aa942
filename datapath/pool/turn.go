// SPDX-License-Identifier: MIT

package pool

// turn is the receive turn that is under way in a seat, as its word says it:
//
//	bits 0-15   how many descriptors it has
//	bits 16-31  the RX index of the first, modulo 2^16
//	bits 32-63  the FILL index when it began
//
// A turn gives its chunks to FILL, in order, and then releases them from RX. Only
// between the two can a chunk be in both, and then the turn tells: the chunks of
// the turn that were pushed were so at its FILL index or later, and were taken by
// the kernel before it. So one that has been pushed since is not where RX says it is.
type turn uint64

func newTurn(given, released uint32, n int) turn {
	return turn(given)<<32 | turn(released&0xffff)<<16 | turn(n&0xffff)
}

// given is the FILL index when it began.
func (t turn) given() uint32 { return uint32(t >> 32) }

// of finds the turn among the n descriptors in RX, the first of which has index
// released: those before from have been given back, those from there to to may have
// been, the others have not.
func (t turn) of(released uint32, n int) (from, to int) {
	from = int(int16(uint16(t>>16) - uint16(released)))
	to = from + int(uint16(t))
	if from < 0 || from > n || to > n {
		return 0, 0 // released already; or a lie
	}
	return from, to
}
