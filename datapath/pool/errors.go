// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"
)

// ErrClosed says that the member or the queue is closed.
var ErrClosed = errors.New("pool: closed")

// ErrJoined says that the member is in the pool of that queue.
var ErrJoined = errors.New("pool: the member serves this queue already")

// FullError says that a pool has as many members as its maker has made it for, or the
// namespace as many as there are slots.
type FullError struct {
	What string // the pool, or the namespace
	Most int    // members
}

// Error implements error.
func (e *FullError) Error() string {
	return fmt.Sprintf("pool: %s has %d members, and takes no more; let who makes the pool ask for more seats", e.What, e.Most)
}

// VersionError says that other processes in the namespace speak another version of
// the joining protocol. All must agree.
type VersionError struct {
	Ours, Theirs int
}

// Error implements error.
func (e *VersionError) Error() string {
	return fmt.Sprintf("pool: another process in this network namespace shares AF_XDP queues by version %d of the protocol, this one by version %d; use one version of msquicxdp", e.Theirs, e.Ours)
}

// SilentError says that others must answer and do not: they are stopped, or hang.
type SilentError struct {
	What  string // that the answer is about
	Peers []Peer // those who do not answer, as far as they are known
}

// Error implements error.
func (e *SilentError) Error() string {
	return fmt.Sprintf("pool: nobody answers about %s: look whether a process is stopped: %v", e.What, e.Peers)
}

// Peer is another member.
type Peer struct {
	Slot uint32
	PID  int // as seen from here
}

// String names the member.
func (p Peer) String() string { return fmt.Sprintf("slot %d, pid %d", p.Slot, p.PID) }
