// SPDX-License-Identifier: MIT

package route

import "net/netip"

// Adapter is one address of this host and the interface that has it. An
// interface with several addresses appears once for each.
type Adapter struct {
	Addr   netip.Addr // never v4-mapped, without a zone: the zone is Index
	Index  int        // of the interface
	Type   IfType
	Status OperStatus
}

// LocalAddresses returns the IPv4 and IPv6 addresses of the calling thread's
// network namespace, in the kernel's order, loopback included. None is not an
// error. An address of an interface that is down is there too, with its
// Status: IPv4 sockets can be bound to it.
//
// Left out are IPv6 addresses for which duplicate address detection still runs
// or has failed (RFC 4862): the kernel does not let a socket be bound to them.
func LocalAddresses() ([]Adapter, error) {
	var adapters []Adapter
	err := withConn(func(c *conn) (err error) {
		adapters, err = c.adapters()
		return err
	})
	return adapters, err
}

// adapters asks for the addresses first: one whose interface is not in the
// later list went away with it in between.
func (c *conn) adapters() ([]Adapter, error) {
	addresses, err := c.addresses()
	if err != nil {
		return nil, err
	}
	links, err := c.links()
	if err != nil {
		return nil, err
	}
	var adapters []Adapter
	for _, a := range addresses {
		if l, ok := links[a.index]; ok && a.bindable() {
			adapters = append(adapters, Adapter{Addr: a.ip, Index: a.index, Type: l.kind, Status: l.status})
		}
	}
	return adapters, nil
}
