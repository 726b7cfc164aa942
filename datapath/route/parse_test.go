// SPDX-License-Identifier: MIT

package route

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// message builds a netlink message.
func message(kind uint16, body ...byte) []byte {
	b := make([]byte, unix.SizeofNlMsghdr)
	binary.NativeEndian.PutUint32(b, uint32(len(b)+len(body)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	b = append(b, body...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func TestNote(t *testing.T) {
	neighbour := neighbourMessage{key: neighbourKey{7, netip.MustParseAddr("10.0.0.2")}}
	about := append(neighbour.Serialize(), attr(8, unix.NDA_DST, 10, 0, 0, 2)...)
	bridge := slices.Clone(about)
	bridge[0] = unix.AF_BRIDGE
	route := make([]byte, unix.SizeofRtMsg)
	cloned := slices.Clone(route)
	binary.NativeEndian.PutUint32(cloned[8:], unix.RTM_F_CLONED)
	link := make([]byte, unix.SizeofIfInfomsg)
	link[4] = 9
	for _, test := range []struct {
		name       string
		in         []byte
		links      int
		routes     bool
		neighbours int
	}{
		{name: "nothing"},
		{name: "link", in: message(unix.RTM_NEWLINK, link...), links: 1},
		{name: "link deleted", in: message(unix.RTM_DELLINK, link...), links: 1},
		{name: "address", in: message(unix.RTM_DELADDR, link[:unix.SizeofIfAddrmsg]...), links: 1},
		{name: "route", in: message(unix.RTM_NEWROUTE, route...), routes: true},
		{name: "cloned route", in: message(unix.RTM_NEWROUTE, cloned...)},
		{name: "rule", in: message(unix.RTM_DELRULE, route...), routes: true},
		{name: "nexthop object", in: message(unix.RTM_DELNEXTHOP), routes: true},
		{name: "setting", in: message(unix.RTM_NEWNETCONF), routes: true},
		{name: "neighbour", in: message(unix.RTM_NEWNEIGH, about...), neighbours: 1},
		{name: "neighbour deleted", in: message(unix.RTM_DELNEIGH, about...), neighbours: 1},
		{name: "bridge entry", in: message(unix.RTM_NEWNEIGH, bridge...)},
		{name: "neighbour without address", in: message(unix.RTM_NEWNEIGH, about[:unix.SizeofNdMsg]...)},
		{name: "two", in: append(message(unix.RTM_NEWLINK, link...), message(unix.RTM_NEWROUTE, route...)...), links: 1, routes: true},
		{name: "cut", in: message(unix.RTM_NEWROUTE, route...)[:20]},
		{name: "short link", in: message(unix.RTM_NEWLINK, 1, 2)},
		{name: "something else", in: message(unix.RTM_NEWQDISC, link...)},
	} {
		d := newDuties()
		d.note(test.in)
		if len(d.links) != test.links || d.routes != test.routes || len(d.neighbours) != test.neighbours {
			t.Errorf("%s: %+v", test.name, d)
		}
	}
	d := newDuties()
	d.note(message(unix.RTM_NEWNEIGH, about...))
	if _, ok := d.neighbours[neighbour.key]; !ok {
		t.Errorf("%+v", d.neighbours)
	}
}

func TestParseNeighbour(t *testing.T) {
	reachable := neighbourMessage{state: unix.NUD_REACHABLE}.Serialize()
	mac := attr(10, unix.NDA_LLADDR, 1, 2, 3, 4, 5, 6)
	for _, test := range []struct {
		name  string
		in    []byte
		state uint16
		mac   [6]byte
	}{
		{"whole", append(slices.Clone(reachable), mac...), unix.NUD_REACHABLE, [6]byte{1, 2, 3, 4, 5, 6}},
		{"no address", reachable, 0, [6]byte{}},
		{"long address", append(slices.Clone(reachable), attr(12, unix.NDA_LLADDR, 1, 2, 3, 4, 5, 6, 7, 8)...), 0, [6]byte{}},
		{"incomplete", neighbourMessage{state: unix.NUD_INCOMPLETE}.Serialize(), unix.NUD_INCOMPLETE, [6]byte{}},
		{"cut", reachable[:8], 0, [6]byte{}},
	} {
		if state, mac := parseNeighbour(test.in); state != test.state || mac != test.mac {
			t.Errorf("%s: %#x, %x", test.name, state, mac)
		}
	}
}

func TestParseEthernet(t *testing.T) {
	header := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint16(header[2:], unix.ARPHRD_ETHER)
	loopback := slices.Clone(header)
	binary.NativeEndian.PutUint16(loopback[2:], unix.ARPHRD_LOOPBACK)
	address := attr(10, unix.IFLA_ADDRESS, 1, 2, 3, 4, 5, 6)
	for _, test := range []struct {
		name string
		in   []byte
		want ethernet
	}{
		{"whole", append(slices.Clone(header), address...), ethernet{[6]byte{1, 2, 3, 4, 5, 6}, true}},
		{"loopback", append(loopback, address...), ethernet{}},
		{"no address", header, ethernet{}},
		{"cut", header[:10], ethernet{}},
	} {
		if got := parseEthernet(test.in); got != test.want {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// No message may bring down the process that hosts us.
func FuzzParseTable(f *testing.F) {
	f.Add(message(unix.RTM_NEWLINK, make([]byte, 40)...))
	f.Add(message(unix.RTM_NEWNEIGH, append(make([]byte, unix.SizeofNdMsg), attr(8, unix.NDA_DST, 10, 0, 0, 2)...)...))
	f.Add(message(unix.RTM_NEWROUTE, make([]byte, unix.SizeofRtMsg)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDuties()
		d.note(b)
		for key := range d.neighbours {
			if !key.ip.IsValid() {
				t.Errorf("%v", key)
			}
		}
		parseEthernet(b)
		parseNeighbour(b)
		if w, ok := parseWay(b); ok != (w != nil) {
			t.Errorf("way %v, %v", w, ok)
		}
	})
}
