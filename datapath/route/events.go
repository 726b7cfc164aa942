// SPDX-License-Identifier: MIT

package route

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// groups are the kinds of change that the kernel is to announce. Forwarding
// and the like (NETCONF) change routes, and so do nexthop objects.
var groups = []int{
	unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH,
	unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV4_NETCONF,
	unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV6_NETCONF,
	unix.RTNLGRP_NEXTHOP,
}

// eventBuffer is more than the kernel puts into one message.
const eventBuffer = 64 << 10

// subscribe opens a socket of the calling thread's namespace that hears of
// changes.
func subscribe() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, &Error{Op: "socket", Args: "AF_NETLINK, NETLINK_ROUTE", Err: err, Hint: socketHint(err)}
	}
	file := os.NewFile(uintptr(fd), "rtnetlink")
	// A socket without an address of its own would not hear what the kernel
	// does by itself: it counts as the kernel's.
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for _, group := range groups {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group))
	}
	if err != nil {
		file.Close()
		return nil, &Error{Op: "subscribe", Args: "rtnetlink", Err: err}
	}
	return file, nil
}

// listen tells the worker what the kernel announces, until the socket is closed.
//
// An announcement only says what to ask about. What it says of the new state is
// not looked at: it may be older than what is known.
func (t *Table) listen() {
	socket, err := t.events.SyscallConn()
	if err != nil {
		return // closed already
	}
	buf := make([]byte, eventBuffer)
	for {
		var n int
		var errno error
		err := socket.Read(func(fd uintptr) bool {
			n, errno = unix.Read(int(fd), buf)
			return !errors.Is(errno, unix.EAGAIN)
		})
		if err != nil {
			return
		}
		t.agenda.add(func(d *duties) {
			if errno != nil { // ENOBUFS: some announcements are lost
				d.everything = true
			} else {
				d.note(buf[:n])
			}
		})
	}
}

// note reads announcements.
func (d *duties) note(b []byte) {
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return
		}
		d.noteOne(binary.NativeEndian.Uint16(b[4:]), b[unix.SizeofNlMsghdr:size])
		b = b[min(align(size), len(b)):]
	}
}

func (d *duties) noteOne(kind uint16, msg []byte) {
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if len(msg) >= unix.SizeofIfAddrmsg { // index at the same place in both
			d.links[int(u32(msg[4:]))] = struct{}{}
		}
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		if key, ok := parseNeighbourKey(msg); ok {
			d.neighbours[key] = struct{}{}
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		// What the kernel keeps for one peer alone is no change of the table.
		if len(msg) < unix.SizeofRtMsg || u32(msg[8:])&unix.RTM_F_CLONED == 0 {
			d.routes = true
		}
	case unix.RTM_NEWRULE, unix.RTM_DELRULE, unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP, unix.RTM_NEWNETCONF, unix.RTM_DELNETCONF:
		d.routes = true
	}
}

// parseNeighbourKey reads which neighbour a message is about. Entries of
// bridges are not about IP.
func parseNeighbourKey(msg []byte) (key neighbourKey, ok bool) {
	if len(msg) < unix.SizeofNdMsg || msg[0] != unix.AF_INET && msg[0] != unix.AF_INET6 {
		return key, false
	}
	key.index = int(u32(msg[4:]))
	for kind, value := range attributes(after(msg, unix.SizeofNdMsg)) {
		if kind == unix.NDA_DST {
			key.ip = addr(value)
		}
	}
	return key, key.ip.IsValid()
}
