// SPDX-License-Identifier: MIT

package pool

import (
	"errors"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// Member is one datapath's place in a network namespace.
type Member struct{}

var errNotYet = errors.New("pool: not yet")

// Open takes a slot in the network namespace of dir, and connects to all other
// members. dir stays the caller's and open until Close.
func Open(dir *rundir.Dir, kernel Kernel) (*Member, error) { return nil, errNotYet }

// Slot returns the number by which the XDP programs know the member. It belongs to
// nobody else until Close.
func (m *Member) Slot() uint32 { return 0 }

// Join makes the pool of a queue, or joins the one that is there. It returns when
// the member's socket is in the XDP program of the interface.
func (m *Member) Join(ifindex, queue int, o Options) (*Queue, error) { return nil, errNotYet }

// Audit counts the chunks of a pool in which the member is.
func (m *Member) Audit(ifindex, queue int) (Census, error) { return Census{}, errNotYet }

// Events returns the latest events, oldest first.
func (m *Member) Events() []Event { return nil }

// Close leaves all queues and gives the slot up.
func (m *Member) Close() error { return nil }
