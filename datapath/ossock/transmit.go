// SPDX-License-Identifier: MIT

package ossock

import (
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// transmit writes the datagrams of tx that have not been sent yet. EAGAIN means
// that the rest must wait; any other error, that the rest is lost.
//
// Datagrams of one size leave in one call, cut by the kernel (UDP_SEGMENT). A
// device that cannot do that answers EIO; the endpoint then sends one by one
// for good, and nothing is lost.
func transmit(ep *batch.Endpoint, tx *batch.Tx) unix.Errno {
	c := address(ep, tx)
	if tx.Count == 1 {
		return send(ep, tx, tx.Data[:tx.Total], c)
	}
	if ep.Segment.Load() && tx.Sent == 0 && tx.Segment != 0 {
		segmented := c
		segmented.addSegment(tx.Segment)
		errno := send(ep, tx, tx.Data[:tx.Total], segmented)
		if errno != unix.EIO {
			return errno
		}
		ep.Segment.Store(false)
	}
	return sendEach(ep, tx, c)
}

// address names destination, source and traffic class, the same for all datagrams of tx.
//
// A connected endpoint that sends to its peer names neither destination nor
// source: the kernel then uses the route that it cached at connect, which saves
// a lookup per call.
func address(ep *batch.Endpoint, tx *batch.Tx) control {
	matchFamily(ep, &tx.Remote)
	h := &tx.Message
	h.Name, h.Namelen = nil, 0
	if !ep.Connected || !tx.Remote.SameHostPort(&ep.Remote) {
		name, n := tx.Remote.Sockaddr()
		h.Name, h.Namelen = (*byte)(name), n
	}
	c := control{buf: tx.Control[:]}
	c.addTOS(ipVersionOf(&tx.Remote), tx.TOS)
	if !ep.Connected && !isWildcard(&tx.Local) {
		tx.Local.Unmap()
		c.addSource(&tx.Local)
	}
	return c
}

// matchFamily names an address as the endpoint's kernel socket does.
func matchFamily(ep *batch.Endpoint, a *batch.Addr) {
	if ep.IsV4 {
		a.Unmap()
	} else {
		a.Map()
	}
}

func ipVersionOf(a *batch.Addr) int {
	if a.Family == unix.AF_INET || a.IsMapped() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// isWildcard reports whether an address leaves both source and interface to the kernel.
func isWildcard(a *batch.Addr) bool {
	if a.Scope != 0 {
		return false
	}
	if a.Family == unix.AF_INET {
		return a.V4 == [4]byte{}
	}
	return a.Family != unix.AF_INET6 || a.V6 == [16]byte{}
}

// send makes one system call with data and the control messages c.
func send(ep *batch.Endpoint, tx *batch.Tx, data []byte, c control) unix.Errno {
	if len(data) == 0 {
		return 0
	}
	tx.Iov.Base = &data[0]
	tx.Iov.SetLen(len(data))
	h := &tx.Message
	h.Iov, h.Iovlen = &tx.Iov, 1
	h.Control, h.Controllen = nil, uint64(c.n)
	if c.n != 0 {
		h.Control = &c.buf[0]
	}
	return sendmsg(ep.FD, h)
}

// sendEach sends datagram by datagram and remembers in tx.Sent how far it came.
// One that is refused for its own sake (EMSGSIZE) does not hold back the others.
func sendEach(ep *batch.Endpoint, tx *batch.Tx, c control) unix.Errno {
	var off uint32
	for _, n := range tx.Length[:tx.Sent] {
		off += uint32(n)
	}
	var failed unix.Errno
	for ; tx.Sent < uint32(tx.Count); tx.Sent++ {
		n := uint32(tx.Length[tx.Sent])
		switch errno := send(ep, tx, tx.Data[off:off+n], c); errno {
		case 0:
		case unix.EAGAIN:
			return errno
		default:
			failed = errno
		}
		off += n
	}
	return failed
}
