// SPDX-License-Identifier: MIT

package route

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync/atomic"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Sets of states of a neighbour (linux/neighbour.h, RFC 4861 §7.3.2).
const (
	nudStatic = unix.NUD_PERMANENT | unix.NUD_NOARP

	// nudValid are those in which the kernel sends to the address it has.
	nudValid = nudStatic | unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE

	// nudUnsure are those in which it is finding out, so that another follows.
	nudUnsure = unix.NUD_INCOMPLETE | unix.NUD_DELAY | unix.NUD_PROBE
)

// neighbourKey names a neighbour: an address on the link of an interface.
type neighbourKey struct {
	index int
	ip    netip.Addr
}

// neighbour is an entry of the kernel's table in which the Table takes an
// interest, as it last was.
type neighbour struct {
	key neighbourKey // never changes

	// Guarded by Table.mu.
	state uint16
	mac   [6]byte
	goal  goal

	// noted says that the worker has been told that somebody sends to the
	// neighbour, and has not done with it.
	noted atomic.Bool
}

// goal is what the worker has made the kernel find out about a neighbour.
type goal uint8

const (
	goalNone    goal = iota
	goalAddress      // some address, verified or not
	goalAnswer       // an answer to the latest question
)

// reached says whether the kernel is done, successfully or not.
func (n *neighbour) reached() bool {
	if n.goal == goalAnswer {
		return n.state&nudUnsure == 0
	}
	return n.state&unix.NUD_INCOMPLETE == 0
}

func (n *neighbour) valid() bool { return n.state&nudValid != 0 }

// stale says that the kernel would check the address when it is used next.
func (n *neighbour) stale() bool { return n.state&unix.NUD_STALE != 0 }

// address returns where to send, all zero if that is not known.
func (n *neighbour) address() (mac [6]byte) {
	if n.valid() {
		mac = n.mac
	}
	return mac
}

// neighbourMessage is struct ndmsg: family, three bytes of padding, interface
// (32 bits), state (16 bits), flags, type (a byte each).
type neighbourMessage struct {
	key   neighbourKey
	state uint16
	flags uint8
}

func (m neighbourMessage) Len() int { return unix.SizeofNdMsg }

func (m neighbourMessage) Serialize() []byte {
	b := make([]byte, unix.SizeofNdMsg)
	b[0] = familyOf(m.key.ip)
	binary.NativeEndian.PutUint32(b[4:], uint32(m.key.index))
	binary.NativeEndian.PutUint16(b[8:], m.state)
	b[10] = m.flags
	return b
}

func (m neighbourMessage) parts() []nl.NetlinkRequestData {
	return []nl.NetlinkRequestData{m, nl.NewRtAttr(unix.NDA_DST, m.key.ip.AsSlice())}
}

func familyOf(ip netip.Addr) uint8 {
	if ip.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// askNeighbour returns state and address of a neighbour; both are 0 when the
// kernel has no entry.
func (c *conn) askNeighbour(key neighbourKey) (state uint16, mac [6]byte, err error) {
	msg, err := c.get(unix.RTM_GETNEIGH, unix.RTM_NEWNEIGH, neighbourMessage{key: key}.parts()...)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
		return 0, mac, nil
	}
	if err != nil {
		return 0, mac, &Error{Op: "get neighbour", Args: key.String(), Err: err}
	}
	state, mac = parseNeighbour(msg)
	return state, mac, nil
}

// parseNeighbour reads an RTM_NEWNEIGH message. An entry that is valid but has
// no Ethernet address counts as none.
func parseNeighbour(msg []byte) (state uint16, mac [6]byte) {
	if len(msg) < unix.SizeofNdMsg {
		return 0, mac
	}
	state = binary.NativeEndian.Uint16(msg[8:])
	found := false
	for kind, value := range attributes(after(msg, unix.SizeofNdMsg)) {
		if kind == unix.NDA_LLADDR && len(value) == len(mac) {
			mac, found = [6]byte(value), true
		}
	}
	if !found {
		state &^= nudValid
	}
	return state, mac
}
