// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Mode is how packets get into and out of the UMEM.
type Mode uint8

const (
	ModeAny      Mode = iota // zero-copy where the driver has it, else copy
	ModeCopy                 // the kernel copies
	ModeZeroCopy             // the device does it, or [Create] fails with [UnsupportedError]
)

var modeFlags = [...]uint16{ModeAny: 0, ModeCopy: unix.XDP_COPY, ModeZeroCopy: unix.XDP_ZEROCOPY}

// Config says which queue a socket serves, and the sizes of rings, each a power of
// two of entries.
type Config struct {
	Interface int    // its index in the network namespace of the calling thread
	Queue     uint32 // from 0

	RX, TX uint32 // of the socket's own rings; 0 for none, not both

	// Of the rings of the queue: [Create] makes them so, [Join] must be told the same.
	// See [SharedFill] and [SharedCompletion] for what is enough.
	Fill, Completion uint32

	// TXBudget is how many packets [Socket.Transmit] sends at the most in one call, from
	// 32 up to what TX has room for; 0 for the kernel's own choice (32). A kernel that
	// does not know it fails with [UnsupportedError]: see [Features].
	TXBudget uint32

	// Patience is how long to try again where the queue is busy. The kernel releases a
	// queue some milliseconds after its last socket is closed.
	Patience time.Duration
}

func (c *Config) String() string {
	return fmt.Sprintf("interface %d queue %d", c.Interface, c.Queue)
}

// check refuses what no kernel would take.
func (c *Config) check() error {
	if c.RX == 0 && c.TX == 0 {
		return fmt.Errorf("xsk: %s: a socket needs an RX or a TX ring", c)
	}
	for _, ring := range []struct {
		name     string
		size     uint32
		optional bool
	}{{"RX", c.RX, true}, {"TX", c.TX, true}, {"FILL", c.Fill, false}, {"COMPLETION", c.Completion, false}} {
		if ring.optional && ring.size == 0 {
			continue
		}
		if err := checkSize(ring.size); err != nil {
			return fmt.Errorf("xsk: %s: %s %w", c, ring.name, err)
		}
	}
	return nil
}
