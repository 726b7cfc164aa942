// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// anyReceiver draws one of port 443, which may be in the way of others as the rules for ports
// would not allow.
func anyReceiver(t *rapid.T) *receiver {
	r := &receiver{
		port:  443,
		local: rapid.SampledFrom([]frame.IP{anyIP, anyIP4, hostIP, peerIP}).Draw(t, "local"),
	}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 1:
		r.connected, r.remote, r.remotePort = true, peerIP, rapid.Uint16Range(5000, 5001).Draw(t, "remote port")
	case 2:
		r.id, _ = cibir.NewID([]byte{rapid.ByteRange(1, 2).Draw(t, "identifier")})
		r.encoding = cibir.Encoding{Length: 1, DestinationOffset: rapid.ByteMax(1).Draw(t, "offset")}
	}
	return r
}

// Who is remembered from the datagram before is who would be found, whatever sockets there are,
// come and go.
func TestWhoIsRememberedWouldBeFound(t *testing.T) {
	var remembered int
	rapid.Check(t, func(t *rapid.T) {
		var d demux
		var to lookup
		flow := uint16(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			list := d.at(443)
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				d.add(anyReceiver(t))
				continue
			case 1:
				if len(list) > 0 {
					d.remove(rapid.SampledFrom(list).Draw(t, "removed"))
				}
				continue
			case 2:
				flow = 0
			}
			if flow == 0 {
				to.forget()
				flow = rapid.Uint16Range(5000, 5001).Draw(t, "flow")
			}
			p := frame.Packet{Flow: frame.Flow{Source: peerIP, Destination: hostIP, SourcePort: flow, DestinationPort: 443}}
			payload := []byte{0x40, rapid.ByteMax(2).Draw(t, "first"), rapid.ByteMax(2).Draw(t, "second")}
			want := find(list, &p, payload)
			if to.goesOn(payload) {
				remembered++
			} else if to.find(&d, &p, payload) != (want != nil) {
				t.Fatalf("found %+v, want %+v", to.found, want)
			}
			if to.found != want {
				t.Fatalf("%+v, want %+v", to.found, want)
			}
		}
	})
	if remembered == 0 {
		t.Error("nobody was ever remembered")
	}
}

// Packets of few flows, good ones and others: each datagram comes to its socket, with the way back
// to its own peer.
func TestTrainsOfPackets(t *testing.T) {
	r := newRig(t)
	for i, port := range []uint16{443, 4433} {
		r.queue.engine.demux.add(&receiver{queue: r.socket(i), port: port})
	}
	rapid.Check(t, func(rt *rapid.T) {
		want := map[unsafe.Pointer][]string{}
		for n := range rapid.IntRange(1, pool.MaxTurn).Draw(rt, "packets") {
			from := rapid.Uint16Range(5000, 5001).Draw(rt, "from")
			to := rapid.IntRange(0, 2).Draw(rt, "to")
			payload := rapid.SampledFrom([]string{"", "x", fmt.Sprintf("%30d", n), fmt.Sprintf("%1000d", n)}).Draw(rt, "payload")
			p := packet(t, from, []uint16{443, 4433, 444}[to], payload)
			if rapid.IntRange(0, 9).Draw(rt, "damaged") == 0 {
				p[14+10]++ // the checksum of the IP header
			} else if to < 2 && payload != "" {
				want[r.socket(to)] = append(want[r.socket(to)], fmt.Sprint(from, payload))
			}
			r.wire.arriving = append(r.wire.arriving, p)
		}
		r.queue.Turn(r.ep, r.turn)
		got := map[unsafe.Pointer][]string{}
		var all []*batch.RecvData
		for _, d := range r.turn.Delivery[:r.turn.Deliveries] {
			payloads := received(&d)
			for x := d.Chain; x != nil; x = x.Next {
				got[d.Queue] = append(got[d.Queue], fmt.Sprint(x.Route.Remote.PortNumber(), payloads[len(got[d.Queue])]))
				all = append(all, x)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Errorf("got %v, want %v", got, want)
		}
		r.returnAll(all)
	})
}
