// SPDX-License-Identifier: MIT

package xdp

import (
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
)

// tooLongInterval is how often a device in generic mode is asked for packets that are too
// long, until there are some: nobody announces what a program counts.
const tooLongInterval = 10 * time.Second

// countTooLong notices packets that are longer than a chunk takes, which go to the
// kernel's sockets. In generic mode they are most likely several datagrams in one: a peer on
// the same host leaves their segmentation to a device that does not exist. In
// native mode the kernel makes the peer segment.
func (n *network) countTooLong(d *device) {
	if d.program.mode != classifier.Generic {
		return
	}
	counters, _, err := d.program.Counters()
	if err != nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d.tooLong = counters[classifier.TooLong]
	if d.tooLong > 0 && !d.told {
		d.told = true
		n.note(Warning, "interface %s: %s", d.link.name, tooLongHint(d.tooLong))
	}
}
