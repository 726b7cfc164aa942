// SPDX-License-Identifier: MIT

package route

import (
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// outInterface returns the index of the interface by which a datagram for
// remote must leave, 0 for any. asked is what the caller says, the zone of
// remote the other source; for link-local IPv6 one of them must be there, and
// two must agree.
func (c *conn) outInterface(remote netip.Addr, asked int) (int, error) {
	if !needsScope(remote) {
		return asked, nil
	}
	zone, err := c.zoneIndex(remote.Zone())
	if err != nil {
		return 0, err
	}
	index := max(zone, asked)
	if index == 0 || zone != 0 && asked != 0 && zone != asked {
		return 0, &Error{
			Op: "get route", Args: fmt.Sprintf("%v, interface %d", remote, asked), Err: unix.EINVAL,
			Hint: "a link-local peer needs one interface, as a zone or by index",
		}
	}
	return index, nil
}

// needsScope says whether an address means something on one link only. IPv4
// link-local addresses are found by ordinary routes.
func needsScope(a netip.Addr) bool {
	return a.Is6() && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast())
}

// zoneIndex returns the interface that a zone names, 0 for no zone. A name
// goes before a number, as in if_nametoindex(3) and getaddrinfo(3).
func (c *conn) zoneIndex(zone string) (int, error) {
	if zone == "" {
		return 0, nil
	}
	index, err := c.indexOf(zone)
	if err == nil {
		return index, nil
	}
	if n, bad := strconv.ParseUint(zone, 10, 31); bad == nil && n != 0 {
		return int(n), nil
	}
	return 0, err
}
