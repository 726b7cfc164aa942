// SPDX-License-Identifier: MIT

package route

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// askCrossing looks for a way to an address of this host that leaves by one of
// the interfaces, as between the two ends of a veth pair in one namespace. The
// kernel itself would not go it: only a route to this very address that is not
// the local table's tells that it is meant. It returns nil if there is none.
func (c *conn) askCrossing(f *flow, interfaces []int) (*way, error) {
	open := *f
	open.local, open.localPort = netip.Addr{}, 0 // IPv6 forgets the interface when there is a source
	for _, index := range interfaces {
		w, err := c.askWay(&open, index)
		if err != nil || w.kind != unix.RTN_UNICAST || w.index != index {
			continue
		}
		if exact, err := c.hasHostRoute(&open, index); err != nil || !exact {
			continue
		}
		if w.source, err = c.crossingSource(f, index); err != nil {
			return nil, err
		}
		if w.source.IsValid() {
			return w, nil
		}
	}
	return nil, nil
}

// crossingSource returns an address of the interface: the wanted one, or the
// first one if any will do. It is not valid when there is none. The kernel's
// choice for IPv6 would be the peer's own address.
func (c *conn) crossingSource(f *flow, index int) (netip.Addr, error) {
	all, err := c.addresses()
	for _, a := range all {
		fits := a.ip == f.local || !f.local.IsValid() && a.ip.BitLen() == f.remote.BitLen() && !a.ip.IsLinkLocalUnicast()
		if a.index == index && a.bindable() && fits {
			return a.ip, nil
		}
	}
	return netip.Addr{}, err
}

// hasHostRoute says whether it is a route to the remote address alone that the
// way by an interface follows. Without a route, IPv4 would take the peer for a
// neighbour.
func (c *conn) hasHostRoute(f *flow, index int) (bool, error) {
	msg, err := c.get(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, wayRequest(f, index, unix.RTM_F_FIB_MATCH)...)
	if err != nil {
		return false, err
	}
	return len(msg) >= unix.SizeofRtMsg && int(msg[1]) == f.remote.BitLen(), nil
}
