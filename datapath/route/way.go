// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// way is the kernel's answer for a flow. It is not changed once it is made.
type way struct {
	err error // there is none

	kind    uint8 // RTN_
	tunnel  bool  // the kernel would wrap the datagrams up
	index   int   // of the interface
	source  netip.Addr
	nextHop netip.Addr

	// Of an Ethernet interface that a unicast datagram leaves by.
	sourceMAC [6]byte
	neighbour *neighbour

	// interfaces are those that were tried, for a peer that is this host.
	interfaces []int
}

// askWay asks for the way of a flow. An interface that is not 0 is the one by
// which the datagrams must leave.
func (c *conn) askWay(f *flow, index int) (*way, error) {
	msg, err := c.get(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, wayRequest(f, index, 0)...)
	if err != nil {
		return nil, f.fail(err, lookupHint(err))
	}
	w, ok := parseWay(msg)
	if !ok {
		return nil, f.fail(errNoAnswer, "")
	}
	if f.local.IsValid() {
		w.source = f.local // which the kernel does not repeat
	}
	if !w.source.IsValid() {
		return nil, f.fail(unix.EADDRNOTAVAIL, "give the outgoing interface an address of the peer's family")
	}
	if !w.nextHop.IsValid() {
		w.nextHop = f.remote
	}
	return w, nil
}

// wayRequest is [routeRequest] with a source; flags are RTM_F_.
func wayRequest(f *flow, index int, flags uint32) []nl.NetlinkRequestData {
	parts := routeRequest(f.remote, index, f.remotePort)
	header := parts[0].(*nl.RtMsg)
	header.Flags = flags
	if f.local.IsValid() {
		header.Src_len = uint8(f.local.BitLen())
		parts = append(parts, nl.NewRtAttr(unix.RTA_SRC, f.local.AsSlice()))
	}
	if f.localPort != 0 {
		parts = append(parts, nl.NewRtAttr(unix.RTA_SPORT, nl.BEUint16Attr(f.localPort)))
	}
	return parts
}

// parseWay reads the RTM_NEWROUTE message that answers a lookup.
func parseWay(msg []byte) (w *way, ok bool) {
	if len(msg) < unix.SizeofRtMsg {
		return nil, false
	}
	attrs := after(msg, unix.SizeofRtMsg)
	through := parseHop(attrs, 0)
	w = &way{kind: msg[7], index: through.index, source: parsePath(msg).source, nextHop: through.gateway}
	for kind := range attributes(attrs) {
		w.tunnel = w.tunnel || kind == unix.RTA_ENCAP
	}
	return w, true
}

// askPath asks for the way of a flow, and tries the interfaces if the peer turns
// out to be this host.
func (c *conn) askPath(f *flow, interfaces []int) (*way, error) {
	w, err := c.askWay(f, int(f.scope))
	if err != nil {
		return nil, err
	}
	if w.kind != unix.RTN_LOCAL {
		return w, nil
	}
	crossing, err := c.askCrossing(f, interfaces)
	if err != nil {
		return nil, err
	}
	if crossing != nil {
		w = crossing
	}
	w.interfaces = append([]int{}, interfaces...) // a copy, and not nil
	return w, nil
}

// isLocal says whether an address is this host's.
func (c *conn) isLocal(a netip.Addr) (bool, error) {
	if needsScope(a) {
		return true, nil // cannot be asked without an interface
	}
	w, err := c.askWay(&flow{remote: a}, 0)
	var refused *Error
	if errors.As(err, &refused) && refused.Errno() != 0 {
		return false, nil
	}
	return err == nil && w.kind == unix.RTN_LOCAL, err
}
