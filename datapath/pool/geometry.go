// SPDX-License-Identifier: MIT

package pool

import (
	"fmt"
	"math/bits"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
)

// Options say how a pool is made, and matter only to who makes it: who joins gets
// the pool as it is. Zero values are defaults.
type Options struct {
	Members int // who can be in the pool at the same time; 16, at most [MaxMembers]
	Ring    int // entries of an RX ring, a power of two from 64 to 16384; 512
	Send    int // chunks to send of each member, a power of two from 64 to 16384; 256

	// Spare is how many chunks there are for packets beyond all RX rings, so that those
	// of members that have stopped take nothing from the others: 64. With zero-copy
	// the device's own ring comes on top.
	Spare int

	Mode xsk.Mode

	// Checksums makes room for [Outgoing.ChecksumStart]. It takes Linux 6.8.
	Checksums bool
}

// MaxMembers is the most that [Options.Members] can ask for.
const MaxMembers = 64

// Bounds and defaults of [Options].
const (
	defaultMembers = 16
	defaultRing    = 512
	defaultSend    = 256
	defaultSpare   = 64
	minRing        = 64
	maxRing        = 1 << 14
	maxSpare       = 1 << 16
)

// chunkSize has room for an Ethernet frame of 1514 bytes behind the kernel's
// headroom, and is what every kernel takes.
const chunkSize = 2048

// geometry is the shape of a pool. It is handed over as it is; all else follows.
type geometry struct {
	Members, Ring, Send uint32
	Receive             uint32 // chunks to receive into, numbers 0 and up; those to send follow
	Checksums           uint32 // 1: there is TX metadata
}

// shape returns the geometry that options ask for.
func (o *Options) shape() (geometry, error) {
	or := func(n, otherwise int) uint32 {
		if n == 0 {
			n = otherwise
		}
		return uint32(min(max(n, 0), 1<<30))
	}
	g := geometry{Members: or(o.Members, defaultMembers), Ring: or(o.Ring, defaultRing), Send: or(o.Send, defaultSend)}
	spare := or(o.Spare, defaultSpare)
	if o.Checksums {
		g.Checksums = 1
	}
	if spare > maxSpare {
		return g, fmt.Errorf("pool: %d spare chunks: at most %d", spare, maxSpare)
	}
	g.Receive = min(g.Members, MaxMembers+1)*min(g.Ring, maxRing) + spare
	return g, g.check()
}

// check refuses what no member makes. It bounds what a pool takes of memory.
func (g *geometry) check() error {
	if g.Members < 1 || g.Members > MaxMembers {
		return fmt.Errorf("pool: %d members: 1 to %d", g.Members, MaxMembers)
	}
	for _, n := range []uint32{g.Ring, g.Send} {
		if n < minRing || n > maxRing || n&(n-1) != 0 {
			return fmt.Errorf("pool: rings of %d and %d entries: powers of two from %d to %d", g.Ring, g.Send, minRing, maxRing)
		}
	}
	if least := g.Members * g.Ring; g.Receive <= least || g.Receive > least+maxSpare {
		return fmt.Errorf("pool: %d chunks to receive into: more than %d, the entries of all RX rings, by at most %d", g.Receive, least, maxSpare)
	}
	if g.Checksums > 1 {
		return fmt.Errorf("pool: checksums %d: 0 or 1", g.Checksums)
	}
	return nil
}

// home returns the seat in whose favour a chunk to receive into is there; the first, which are
// spare, are there for all.
func (g *geometry) home(chunk uint32) (seat uint32, ok bool) {
	spare := g.Receive - g.Members*g.Ring
	if chunk < spare {
		return 0, false
	}
	return (chunk - spare) / g.Ring, true
}

// chunks returns how many there are.
func (g *geometry) chunks() uint32 { return g.Receive + g.sending() }

// sending returns how many chunks are there to send.
func (g *geometry) sending() uint32 { return g.Members * g.Send }

// fill returns the size of the FILL ring, which has room for all chunks to receive into,
// and for those that the kernel has taken without having said so yet.
func (g *geometry) fill() uint32 { return powerOfTwo(g.Receive + fillSlack) }

// fillSlack is some times what the kernel takes for one interrupt.
const fillSlack = 512

// completion returns the size of the COMPLETION ring, which all chunks to send fit in.
func (g *geometry) completion() uint32 { return powerOfTwo(g.sending()) }

// powerOfTwo rounds up.
func powerOfTwo(n uint32) uint32 { return 1 << bits.Len32(n-1) }
