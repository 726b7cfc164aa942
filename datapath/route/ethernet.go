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

// awaitChange waits until the kernel has done what it announced of an interface
// or its addresses: the announcement comes first, and then fall the routes that
// depended on it. The kernel answers for an interface under the same lock for
// network configuration (RTNL), so the answer itself does not matter.
func (c *conn) awaitChange(index int) { c.askEthernet(index) }

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
