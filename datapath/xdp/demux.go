// SPDX-License-Identifier: MIT

package xdp

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

// receiver is a socket that datagrams are for.
type receiver struct {
	queue unsafe.Pointer // the value of CXPLAT_ROUTE.Queue of its first endpoint
	local frame.IP       // or a wildcard, unless it is connected
	port  uint16

	partitions []uint16 // of its kernel sockets

	// Of a connected socket:
	connected  bool
	remote     frame.IP
	remotePort uint16

	// Of one that shares its port:
	id       cibir.ID
	encoding cibir.Encoding
}

// takes reports whether a datagram to the receiver's port is for it.
func (r *receiver) takes(p *frame.Packet, payload []byte) bool {
	if !r.hears(&p.Destination) {
		return false
	}
	if r.connected {
		return p.Source == r.remote && p.SourcePort == r.remotePort
	}
	return r.carriedBy(payload)
}

// carriedBy reports whether a datagram carries the receiver's identifier, if it has one.
func (r *receiver) carriedBy(payload []byte) bool {
	return r.id.Len() == 0 || r.encoding.Carries(payload, &r.id)
}

// Wildcards: of both families, and of IPv4.
var (
	anyIP  frame.IP
	anyIP4 = frame.From4([4]byte{})
)

// hears reports whether an address is the receiver's.
func (r *receiver) hears(ip *frame.IP) bool {
	return r.local == *ip || r.local == anyIP || r.local == anyIP4 && ip.Is4()
}

// crosses reports whether both receivers would take one datagram, and neither rather
// than the other.
func (r *receiver) crosses(o *receiver) bool {
	switch {
	case r.connected != o.connected || !r.hears(&o.local) && !o.hears(&r.local):
		return false
	case r.connected:
		return r.remote == o.remote && r.remotePort == o.remotePort
	}
	shared := r.id.Len() != 0 && o.id.Len() != 0 && r.encoding == o.encoding
	return !shared || r.id == o.id
}

// demux finds receivers by port. Workers read it without a lock; a change puts
// another list in place of the one that they may be reading.
type demux struct {
	mu     sync.Mutex // of writers
	byPort [1 << 16]atomic.Pointer[[]*receiver]
}

// at returns the receivers at a port.
func (d *demux) at(port uint16) []*receiver {
	if list := d.byPort[port].Load(); list != nil {
		return *list
	}
	return nil
}

// find returns who a datagram is for, nil if nobody. Connected sockets come first.
func find(list []*receiver, p *frame.Packet, payload []byte) (found *receiver) {
	for _, r := range list {
		if (r.connected || found == nil) && r.takes(p, payload) {
			if found = r; r.connected {
				break
			}
		}
	}
	return found
}

// crosses reports whether a receiver that is there crosses r.
func (d *demux) crosses(r *receiver) bool { return slices.ContainsFunc(d.at(r.port), r.crosses) }

func (d *demux) add(r *receiver) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := append(slices.Clone(d.at(r.port)), r)
	d.byPort[r.port].Store(&list)
}

// remove takes a receiver out, and reports whether others remain at its port.
func (d *demux) remove(r *receiver) (others bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(d.at(r.port)), func(x *receiver) bool { return x == r })
	if len(rest) == 0 {
		d.byPort[r.port].Store(nil)
		return false
	}
	d.byPort[r.port].Store(&rest)
	return true
}
