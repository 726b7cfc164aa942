// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
)

// received returns the payloads of a delivery.
func received(d *batch.Delivery) (list []string) {
	for r := d.Chain; r != nil; r = r.Next {
		list = append(list, string(unsafe.Slice((*byte)(r.Buffer), r.Length)))
	}
	return list
}

// run makes turns until nothing is left, and returns the payloads by socket.
func (r *rig) run() map[unsafe.Pointer][]string {
	got := map[unsafe.Pointer][]string{}
	for {
		r.queue.Turn(r.ep, r.turn)
		var all []*batch.RecvData
		for i := range r.turn.Deliveries {
			d := &r.turn.Delivery[i]
			got[d.Queue] = append(got[d.Queue], received(d)...)
			for x := d.Chain; x != nil; x = x.Next {
				all = append(all, x)
			}
		}
		r.returnAll(all)
		if !r.turn.More {
			return got
		}
	}
}

// returnAll gives datagrams back, as MsQuic does, and fills the turn up again.
func (r *rig) returnAll(all []*batch.RecvData) { giveBack(r.pool, r.turn, all) }

func giveBack(p *blocktest.Pool, turn *batch.Turn, all []*batch.RecvData) {
	for i := len(all) - 1; i > 0; i-- {
		all[i-1].Next = all[i]
	}
	if len(all) > 0 {
		turn.Chain = all[0]
	}
	for _, d := range p.Deliver(turn) {
		p.ReturnOne(d)
	}
	p.Refill(turn)
}

func TestDatagramsGoToTheirSockets(t *testing.T) {
	r := newRig(t)
	d := &r.queue.engine.demux
	e := cibir.Encoding{Length: 1, SourceOffset: 0, DestinationOffset: 0}
	one, _ := cibir.NewID([]byte{1})
	two, _ := cibir.NewID([]byte{2})
	d.add(&receiver{queue: r.socket(0), port: 443})
	d.add(&receiver{queue: r.socket(1), port: 443, connected: true, local: hostIP, remote: peerIP, remotePort: 7000})
	d.add(&receiver{queue: r.socket(2), port: 4433, id: one, encoding: e})
	d.add(&receiver{queue: r.socket(3), port: 4433, id: two, encoding: e})
	for _, p := range [][]byte{
		packet(t, 5000, 443, "to the listener"),
		packet(t, 7000, 443, "from its peer"),
		packet(t, 5000, 4433, "\x40\x02to two"),
		packet(t, 5000, 4433, "\x40\x01to one"),
		packet(t, 5000, 4433, "\x40\x03to nobody"),
		packet(t, 5000, 444, "to no port"),
		packet(t, 5000, 443, "again"),
		[]byte("no packet"),
		nil,
	} {
		r.wire.arriving = append(r.wire.arriving, p)
	}
	got := r.run()
	for i, want := range [][]string{{"to the listener", "again"}, {"from its peer"}, {"\x40\x01to one"}, {"\x40\x02to two"}} {
		if fmt.Sprintf("%q", got[r.socket(i)]) != fmt.Sprintf("%q", want) {
			t.Errorf("socket %d got %q, want %q", i, got[r.socket(i)], want)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d sockets got something, want 4", len(got))
	}
}

// Whatever the sizes, every datagram arrives whole and in order, and no block is lost.
func TestManyPackets(t *testing.T) {
	r := newRig(t)
	r.queue.engine.demux.add(&receiver{queue: r.socket(0), port: 443})
	var want []string
	for i := range 300 {
		payload := strings.Repeat(string(rune('a'+i%26)), 1+i*37%1472)
		want = append(want, payload)
		r.wire.arriving = append(r.wire.arriving, packet(t, 5000, 443, payload))
	}
	if got := r.run()[r.socket(0)]; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %d datagrams, want %d, all of them whole", len(got), len(want))
	}
}

func TestEachPacketForAnotherSocket(t *testing.T) {
	r := newRig(t)
	for i := range pool.MaxTurn + 1 {
		r.queue.engine.demux.add(&receiver{queue: r.socket(i), port: uint16(1000 + i)})
		r.wire.arriving = append(r.wire.arriving, packet(t, 5000, uint16(1000+i), "x"))
	}
	if got := r.run(); len(got) != pool.MaxTurn+1 {
		t.Errorf("%d sockets got something, want %d", len(got), pool.MaxTurn+1)
	}
}

// Without memory the packets stay where they are.
func TestWithoutBlocks(t *testing.T) {
	r := newRig(t)
	r.queue.engine.demux.add(&receiver{queue: r.socket(0), port: 443})
	r.wire.arriving = [][]byte{packet(t, 5000, 443, "later")}
	all := make([]int, batch.RxLent)
	for i := range all {
		all[i] = i
	}
	r.pool.Withhold(r.turn, all...)
	r.queue.Turn(r.ep, r.turn)
	if r.turn.Datagrams != 0 || r.turn.More || len(r.wire.arriving) != 1 {
		t.Fatalf("%d datagrams without memory, more: %v", r.turn.Datagrams, r.turn.More)
	}
	r.pool.Refill(r.turn)
	if got := r.run()[r.socket(0)]; len(got) != 1 || got[0] != "later" {
		t.Errorf("got %q afterwards", got)
	}
}

func TestDescription(t *testing.T) {
	r := newRig(t)
	r.queue.engine.demux.add(&receiver{queue: r.socket(0), port: 443})
	r.wire.arriving = [][]byte{packet(t, 5000, 443, "x")}
	r.queue.Turn(r.ep, r.turn)
	d := r.turn.Delivery[0].Chain
	if d.Partition != 3 || d.TOS != 0xb9 || d.TTL != 128 || d.Flags != batch.RecvAllocatedRaw {
		t.Errorf("%+v", d)
	}
	route := d.Route
	if route.Remote.AddrPort().String() != "10.0.0.2:5000" || route.Local.AddrPort().String() != "10.0.0.1:443" ||
		route.Queue != r.ep.Queue || route.Type != batch.DatapathRaw || route.LocalMAC[5] != 1 || route.NextHopMAC[5] != 2 {
		t.Errorf("%+v", route)
	}
	r.returnAll([]*batch.RecvData{d})
}

// Every datagram has the way back to its own peer, whoever came before it.
func TestEachDatagramHasItsWayBack(t *testing.T) {
	r := newRig(t)
	r.queue.engine.demux.add(&receiver{queue: r.socket(0), port: 443})
	ports := []uint16{5000, 5000, 5001, 5000, 5002, 5002}
	for _, port := range ports {
		r.wire.arriving = append(r.wire.arriving, packet(t, port, 443, "x"))
	}
	r.queue.Turn(r.ep, r.turn)
	var all []*batch.RecvData
	for d := r.turn.Delivery[0].Chain; d != nil; d = d.Next {
		want := fmt.Sprintf("10.0.0.2:%d", ports[len(all)])
		if got := d.Route.Remote.AddrPort().String(); got != want || d.Route.Local.AddrPort().String() != "10.0.0.1:443" || d.Route.NextHopMAC[5] != 2 {
			t.Errorf("datagram %d: %+v, want a way to %s", len(all), d.Route, want)
		}
		all = append(all, d)
	}
	if len(all) != len(ports) {
		t.Errorf("%d datagrams, want %d", len(all), len(ports))
	}
	r.returnAll(all)
}

func TestTurnAllocatesNothing(t *testing.T) {
	r := newRig(t)
	r.queue.engine.demux.add(&receiver{queue: r.socket(0), port: 443})
	packets := [][]byte{packet(t, 5000, 443, "x"), packet(t, 5000, 443, "y")}
	saved := [][]byte{append([]byte{}, packets[0]...), append([]byte{}, packets[1]...)}
	if n := testing.AllocsPerRun(100, func() {
		for i := range packets {
			copy(packets[i], saved[i])
		}
		r.wire.arriving = packets
		r.queue.Turn(r.ep, r.turn)
		r.turn.Taken, r.turn.Deliveries = 0, 0
	}); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
}
