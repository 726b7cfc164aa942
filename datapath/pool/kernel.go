// SPDX-License-Identifier: MIT

package pool

// Kernel makes the XDP programs that give packets to members: package classifier
// behind an adapter. Both calls happen on the thread that calls [Member.Join].
type Kernel interface {
	// Attach makes the program of an interface and attaches it there.
	Attach(ifindex int) (Program, error)

	// Adopt makes a Program of the descriptors that another member's FDs returned, in
	// their order. They belong to it, and it closes them when it fails.
	Adopt(ifindex int, fds []int) (Program, error)
}

// Program is the XDP program of an interface. Its methods may be called by several
// goroutines, Close last.
type Program interface {
	// PutSocket gives a slot its AF_XDP socket for a queue.
	PutSocket(slot, queue uint32, socket int) error

	// DeleteSocket takes it away. It is no error when there is none.
	DeleteSocket(slot, queue uint32) error

	// ClearSlot removes all that the program knows of a slot: sockets and rules.
	ClearSlot(slot uint32) error

	// FDs returns the descriptors by which another member adopts the program. They
	// stay the program's. At most [MaxProgramFDs].
	FDs() []int

	// Close gives the descriptors back. The program leaves the interface when its last
	// member has.
	Close() error
}

// Scattered is a Program in which every member has sockets in a map of its own: in map mode.
// Others need a copy of the map to take a dead member's socket out, and get it with the
// socket. A map has one entry for each queue, so members of a pool have different maps.
type Scattered interface {
	Program

	// Own returns the descriptor of this member's map, which stays the program's.
	Own() int

	// IsOwn reports whether a descriptor is of this member's map too.
	IsOwn(fd int) bool

	// DeleteOther takes the socket for a queue out of the map behind a descriptor. It is no
	// error when there is none.
	DeleteOther(fd int, queue uint32) error
}

// MaxProgramFDs is how many descriptors a program can have.
const MaxProgramFDs = 32
