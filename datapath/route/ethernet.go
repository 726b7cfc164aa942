// SPDX-License-Identifier: MIT

package route

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ethernet is what a sender wants to know of an interface.
type ethernet struct {
	mac [6]byte
	ok  bool // it is there, and an Ethernet interface
}

// askEthernet returns the address of an interface.
func (c *conn) askEthernet(index int) (ethernet, error) {
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(index)
	msg, err := c.get(unix.RTM_GETLINK, unix.RTM_NEWLINK, header)
	if errors.Is(err, unix.ENODEV) {
		return ethernet{}, nil
	}
	if err != nil {
		return ethernet{}, &Error{Op: "get interface", Args: fmt.Sprint(index), Err: err}
	}
	return parseEthernet(msg), nil
}

// awaitChanges waits until the kernel has done what it has announced. It tells
// of a route before it takes it away, and of an interface, an address or a
// nexthop object before the routes fall that depended on it. All that happens
// under its lock for network configuration (RTNL), under which it also answers
// for an interface; the answer itself does not matter.
func (c *conn) awaitChanges() { c.askEthernet(loopback) }

// loopback is the index of the loopback interface in every namespace.
const loopback = 1

// parseEthernet reads an RTM_NEWLINK message.
func parseEthernet(msg []byte) (e ethernet) {
	if len(msg) < unix.SizeofIfInfomsg || binary.NativeEndian.Uint16(msg[2:]) != unix.ARPHRD_ETHER {
		return e
	}
	for kind, value := range attributes(after(msg, unix.SizeofIfInfomsg)) {
		if kind == unix.IFLA_ADDRESS && len(value) == len(e.mac) {
			e.mac, e.ok = [6]byte(value), true
		}
	}
	return e
}
