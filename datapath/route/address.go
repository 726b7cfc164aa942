// SPDX-License-Identifier: MIT

package route

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// address is an address as the kernel lists it.
type address struct {
	ip    netip.Addr
	index int
	flags uint32 // IFA_F_
}

// bindable says whether a socket can be bound to the address. A tentative one
// cannot, unless it is optimistic (RFC 4429).
func (a address) bindable() bool {
	if a.flags&unix.IFA_F_DADFAILED != 0 {
		return false
	}
	return a.flags&unix.IFA_F_TENTATIVE == 0 || a.flags&unix.IFA_F_OPTIMISTIC != 0
}

// addresses lists the IP addresses.
func (c *conn) addresses() ([]address, error) {
	msgs, err := c.dump(unix.RTM_GETADDR, unix.RTM_NEWADDR, nl.NewIfAddrmsg(unix.AF_UNSPEC))
	if err != nil {
		return nil, &Error{Op: "list addresses", Err: err}
	}
	var list []address
	for _, msg := range msgs {
		if a, ok := parseAddress(msg); ok {
			list = append(list, a)
		}
	}
	return list, nil
}

// parseAddress reads an RTM_NEWADDR message: struct ifaddrmsg, then
// attributes. It reports false for what is not an IP address.
func parseAddress(msg []byte) (address, bool) {
	if len(msg) < unix.SizeofIfAddrmsg {
		return address{}, false
	}
	family := msg[0]
	if family != unix.AF_INET && family != unix.AF_INET6 {
		return address{}, false
	}
	a := address{flags: uint32(msg[2]), index: int(binary.NativeEndian.Uint32(msg[4:]))}
	var local, other netip.Addr
	for kind, value := range attributes(after(msg, unix.SizeofIfAddrmsg)) {
		switch kind {
		case unix.IFA_LOCAL:
			local = addr(value)
		case unix.IFA_ADDRESS:
			other = addr(value)
		case unix.IFA_FLAGS: // all 32 bits; the header has room for 8
			a.flags = u32(value)
		}
	}
	// On a point-to-point interface IFA_ADDRESS is the peer's and IFA_LOCAL
	// ours; elsewhere IPv6 sends IFA_ADDRESS alone.
	a.ip = other
	if local.IsValid() {
		a.ip = local
	}
	a.ip = a.ip.Unmap()
	return a, a.ip.IsValid()
}
