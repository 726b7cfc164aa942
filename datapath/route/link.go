// SPDX-License-Identifier: MIT

package route

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// link is what this package wants to know of an interface.
type link struct {
	index  int
	kind   IfType
	status OperStatus
}

// links lists the interfaces by index.
func (c *conn) links() (map[int]link, error) {
	msgs, err := c.dump(unix.RTM_GETLINK, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_UNSPEC))
	if err != nil {
		return nil, &Error{Op: "list interfaces", Err: err}
	}
	byIndex := make(map[int]link, len(msgs))
	for _, msg := range msgs {
		if l, ok := parseLink(msg); ok {
			byIndex[l.index] = l
		}
	}
	return byIndex, nil
}

// indexOf returns the index of an interface from its name, or ENODEV.
func (c *conn) indexOf(name string) (int, error) {
	if len(name) >= unix.IFNAMSIZ {
		return 0, &Error{Op: "find interface", Args: name, Err: unix.ENODEV, Hint: "a name has at most 15 bytes"}
	}
	msg, err := c.get(unix.RTM_GETLINK, unix.RTM_NEWLINK,
		nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if err != nil {
		return 0, &Error{Op: "find interface", Args: name, Err: err, Hint: lookupHint(err)}
	}
	l, ok := parseLink(msg)
	if !ok {
		return 0, &Error{Op: "find interface", Args: name, Err: errNoAnswer}
	}
	return l.index, nil
}

// parseLink reads an RTM_NEWLINK message: struct ifinfomsg, then attributes.
func parseLink(msg []byte) (link, bool) {
	if len(msg) < unix.SizeofIfInfomsg {
		return link{}, false
	}
	arphrd := binary.NativeEndian.Uint16(msg[2:])
	index := binary.NativeEndian.Uint32(msg[4:])
	flags := binary.NativeEndian.Uint32(msg[8:])
	var state uint8 // IF_OPER_UNKNOWN
	for kind, value := range attributes(after(msg, unix.SizeofIfInfomsg)) {
		if kind == unix.IFLA_OPERSTATE && len(value) > 0 {
			state = value[0]
		}
	}
	return link{index: int(index), kind: ifTypeOf(arphrd), status: operStatusOf(state, flags)}, true
}
