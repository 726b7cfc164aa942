// SPDX-License-Identifier: MIT

package route

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrNoGateway says that no default route has a gateway: there is no default
// route, or it leads onto a link without one.
var ErrNoGateway = errors.New("no default route with a gateway")

// Gateway is a next hop of a default route.
type Gateway struct {
	Addr   netip.Addr // without a zone: the zone is Index
	Index  int        // of the interface that leads to it
	Metric uint32     // of the route; the kernel prefers the lowest
}

// Gateways returns the next hops of the default routes in the main tables of
// the calling thread's network namespace: those of IPv4, then those of IPv6,
// the lowest metric first, each address and interface once. A next hop of an
// IPv4 route may have an IPv6 address. All next hops of a multipath route are
// there, except those that the kernel has marked dead. The result is never
// empty: without a gateway the error is [ErrNoGateway].
func Gateways() ([]Gateway, error) {
	var all []Gateway
	err := withConn(func(c *conn) error {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			found, err := c.gateways(family)
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if all = unique(all); len(all) == 0 {
		return nil, ErrNoGateway
	}
	return all, nil
}

// gateways returns the gateways of one family's routes, by metric. A kernel
// without IPv6 answers a request for its routes with those of all families.
func (c *conn) gateways(family uint8) ([]Gateway, error) {
	header := &nl.RtMsg{RtMsg: unix.RtMsg{Family: family}}
	msgs, err := c.dump(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, header)
	if err != nil {
		return nil, &Error{Op: "list routes", Args: familyName(family), Err: err}
	}
	var found []Gateway
	for _, msg := range msgs {
		r, ok := parseDefaultRoute(msg, family)
		if !ok {
			continue
		}
		if r.object != 0 {
			if r.hops, err = c.objectHops(r.object); err != nil {
				return nil, err
			}
		}
		found = append(found, r.gateways()...)
	}
	slices.SortStableFunc(found, func(a, b Gateway) int { return cmp.Compare(a.Metric, b.Metric) })
	return found, nil
}

func familyName(family uint8) string {
	if family == unix.AF_INET {
		return "IPv4"
	}
	return "IPv6"
}

// unique drops a gateway that is in the list already, by address and
// interface, and keeps the order.
func unique(list []Gateway) []Gateway {
	type key struct {
		addr  netip.Addr
		index int
	}
	seen := make(map[key]bool)
	return slices.DeleteFunc(list, func(g Gateway) bool {
		k := key{g.Addr, g.Index}
		again := seen[k]
		seen[k] = true
		return again
	})
}
