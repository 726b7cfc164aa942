// SPDX-License-Identifier: MIT

package xdp

import (
	"sync/atomic"

	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

// lookup finds receivers, and remembers the latest: most datagrams are for the receiver
// of the one before.
type lookup struct {
	found *receiver // nil if nobody

	list *[]*receiver // those at the port
	port *atomic.Pointer[[]*receiver]
	sure bool // nobody else in the list can take a datagram of the flow that found takes
}

// find finds who a datagram is for, and reports whether there is anybody.
func (l *lookup) find(d *demux, p *frame.Packet, payload []byte) bool {
	l.port = &d.byPort[p.DestinationPort]
	l.list = l.port.Load()
	l.found = nil
	if l.list == nil {
		return false
	}
	l.found = find(*l.list, p, payload)
	l.sure = l.found != nil && (l.found.connected || l.found == (*l.list)[0])
	return l.found != nil
}

// goesOn reports whether another datagram of the same flow is surely for found, so that
// find would find it too.
func (l *lookup) goesOn(payload []byte) bool {
	r := l.found
	if r == nil || !l.sure || l.port.Load() != l.list {
		return false
	}
	return r.connected || r.carriedBy(payload)
}

// forget says that the next datagram is of another flow.
func (l *lookup) forget() { l.found = nil }
