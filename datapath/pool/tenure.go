// SPDX-License-Identifier: MIT

package pool

// tenure names one stay of one member in one seat, as the seat's owner word says it:
//
//	bits 0-10   the slot of the member, plus one; 0: the seat is free
//	bits 11-31  a number that grows by one when a member takes the lock of the seat,
//	            and by one when it has left it in order
//
// Only who has the lock of the seat writes the word. So a seat that is not free and
// whose lock nobody has was a dead member's, and nobody has cleaned up after it; and
// no two stays have the same tenure.
type tenure uint32

const (
	slotMask    = 1<<11 - 1
	oneStay     = slotMask + 1
	numberShift = 11
)

// MaxSlots is how many members a network namespace can have.
const MaxSlots = 1024

// slot returns the slot of the member.
func (t tenure) slot() (slot uint32, taken bool) {
	n := uint32(t) & slotMask
	return n - 1, n != 0 && n <= MaxSlots
}

func (t tenure) free() bool { return t&slotMask == 0 }

// next is what a free seat says when the next member, or the next state, has come.
func (t tenure) next() tenure { return t&^slotMask + oneStay }

// of is the tenure of the member in a slot in a seat that says t.
func (t tenure) of(slot uint32) tenure { return t&^slotMask | tenure(slot+1) }

// begins reports whether a seat that says t is about to say u.
func (t tenure) begins(u tenure) bool { return t.free() && t>>numberShift == u>>numberShift }
