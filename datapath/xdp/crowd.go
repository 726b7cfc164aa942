// SPDX-License-Identifier: MIT

package xdp

import (
	"encoding/binary"

	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

// flowOf is a number of the peer's address and port, well spread over 32 bits.
func flowOf(p *frame.Packet) uint32 {
	return (binary.NativeEndian.Uint32(p.Source[12:]) ^ uint32(p.SourcePort)<<16) * 0x9e3779b1
}

// crowd tells whether a queue receives several flows at a time that are to be spread over
// the partitions, as a device does that has a queue for each. A flow stays where it is:
// MsQuic moves a connection whose datagrams come to another partition.
type crowd struct {
	narrow bool // the interface has fewer queues than there are partitions
	last   uint32
	alone  uint32 // packets since another flow was last seen, as far as it matters
	here   bool
}

// calm is how many packets of one flow in a row end a crowd.
const calm = 1 << 14

// note sees a packet, and reports whether there is a crowd.
func (c *crowd) note(flow uint32) bool {
	switch {
	case flow != c.last:
		c.here = c.last != 0
		c.last, c.alone = flow, 0
	case c.alone < calm:
		c.alone++
	default:
		c.here = false
	}
	return c.here && c.narrow
}
