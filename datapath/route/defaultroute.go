// SPDX-License-Identifier: MIT

package route

import "golang.org/x/sys/unix"

// rtaNHID is RTA_NH_ID of linux/rtnetlink.h, which x/sys does not have.
const rtaNHID = 30

// defaultRoute is a route that covers every destination.
type defaultRoute struct {
	metric uint32
	hops   []hop
	object uint32 // ID of the nexthop object that has the hops, or 0
}

// gateways returns the hops that are usable and have an address.
func (r defaultRoute) gateways() []Gateway {
	var list []Gateway
	for _, h := range r.hops {
		if h.dead || !h.gateway.IsValid() || h.gateway.IsUnspecified() {
			continue
		}
		list = append(list, Gateway{Addr: h.gateway, Index: h.index, Metric: r.metric})
	}
	return list
}

// parseDefaultRoute reads an RTM_NEWROUTE message: struct rtmsg, then
// attributes. It reports false for every other route than a unicast default
// route of the family's main table.
func parseDefaultRoute(msg []byte, family uint8) (defaultRoute, bool) {
	if len(msg) < unix.SizeofRtMsg || msg[0] != family || !isDefault(msg) {
		return defaultRoute{}, false
	}
	attrs := after(msg, unix.SizeofRtMsg)
	var r defaultRoute
	table := uint32(msg[4])
	for kind, value := range attributes(attrs) {
		switch kind {
		case unix.RTA_TABLE: // 32 bits; the header has room for 8
			table = u32(value)
		case unix.RTA_PRIORITY:
			r.metric = u32(value)
		case unix.RTA_MULTIPATH:
			r.hops = parseMultipath(value)
		case rtaNHID:
			r.object = u32(value)
		}
	}
	if single := parseHop(attrs, u32(msg[8:])); single.index != 0 {
		r.hops = append(r.hops, single)
	}
	// With net.ipv4.nexthop_compat_mode (the default) the kernel writes out
	// what the nexthop object contains, so there is no need to ask for it.
	if len(r.hops) != 0 {
		r.object = 0
	}
	return r, table == unix.RT_TABLE_MAIN
}

// isDefault looks at struct rtmsg: family, dst_len, src_len, tos, table,
// protocol, scope, type (a byte each), flags (32 bits).
func isDefault(msg []byte) bool {
	dstLen, kind, flags := msg[1], msg[7], u32(msg[8:])
	return dstLen == 0 && kind == unix.RTN_UNICAST && flags&unix.RTM_F_CLONED == 0
}
