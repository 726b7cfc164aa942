// SPDX-License-Identifier: MIT

package pool

// Queue is a member's seat in the pool of one receive queue.
type Queue struct{}

// FD returns the descriptor that is readable when there are packets. It stays the queue's.
func (q *Queue) FD() int { return -1 }

// ZeroCopy reports whether the device itself reads and writes the packets.
func (q *Queue) ZeroCopy() bool { return false }

// Program returns the XDP program of the interface, which the member has open as
// long as it is in one of its queues.
func (q *Queue) Program() Program { return nil }

// Peek begins a receive turn: it returns how many packets there are, at most limit
// and [MaxTurn]. A turn ends with [Queue.Release].
func (q *Queue) Peek(limit int) int { return 0 }

// MaxTurn is how many packets a receive turn has at most.
const MaxTurn = 64

// Packet returns packet i of the turn, nil where it is none. It is memory that other processes may change
// at any time, and valid until Release: copy it first, then look at it.
func (q *Queue) Packet(i int) []byte { return nil }

// Release ends the turn, and gives its chunks back.
func (q *Queue) Release() {}

// Reserve makes room for n packets to send, at most [MaxTurn], and returns for how
// many there is room. A second Reserve forgets the first.
func (q *Queue) Reserve(n int) int { return 0 }

// Frame returns the room for packet i of those reserved.
func (q *Queue) Frame(i int) []byte { return nil }

// Outgoing says what is in a frame.
type Outgoing struct {
	Length uint32 // of the packet, from the start of the frame

	// ChecksumStart and ChecksumOffset ask for a checksum over the packet from
	// byte ChecksumStart on, to be stored ChecksumOffset bytes behind that, where the
	// sum of the pseudo-header stands. 0: none. Needs [Options.Checksums].
	ChecksumStart, ChecksumOffset uint16
}

// Submit puts the first frames reserved into the TX ring, one for each of packets.
// The kernel sees them at the next [Queue.Kick].
func (q *Queue) Submit(packets []Outgoing) {}

// Kick makes the kernel send what has been submitted, as much as it does at once;
// what it leaves is [Queue.Backlog].
func (q *Queue) Kick() error { return nil }

// Backlog returns how many packets the kernel has not yet taken from the TX ring.
func (q *Queue) Backlog() int { return 0 }

// Leave gives the seat up. Nobody may use the queue while it runs, or afterwards.
func (q *Queue) Leave() error { return nil }
