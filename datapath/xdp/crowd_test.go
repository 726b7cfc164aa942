// SPDX-License-Identifier: MIT

package xdp

import (
	"testing"

	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

func TestCrowd(t *testing.T) {
	c := crowd{narrow: true}
	for range 3 {
		if c.note(1) {
			t.Fatal("one flow is a crowd")
		}
	}
	if !c.note(2) || !c.note(1) {
		t.Fatal("two flows are none")
	}
	n := 0
	for ; c.note(1); n++ {
	}
	if n != calm {
		t.Errorf("it ends after %d packets of one flow, want %d", n, calm)
	}
	c.narrow = false
	if c.note(2) || c.note(1) {
		t.Error("who has queues enough spreads flows all the same")
	}
}

// Neighbouring ports and addresses go to partitions alike.
func TestFlowsSpread(t *testing.T) {
	const flows, partitions = 4096, 4
	for name, of := range map[string]func(i int) frame.Packet{
		"ports": func(i int) frame.Packet {
			return frame.Packet{Flow: frame.Flow{Source: peerIP, SourcePort: uint16(40000 + i)}}
		},
		"addresses": func(i int) frame.Packet {
			return frame.Packet{Flow: frame.Flow{Source: frame.From4([4]byte{10, 0, byte(i >> 8), byte(i)}), SourcePort: 443}}
		},
	} {
		var got [partitions]int
		for i := range flows {
			p := of(i)
			got[uint64(flowOf(&p))*partitions>>32]++
		}
		for _, n := range got {
			if n < flows/partitions/2 || n > flows/partitions*2 {
				t.Errorf("%s: %v", name, got)
				break
			}
		}
	}
}

// A flow alone stays with the worker that receives; several go to those of their socket.
func TestPartitions(t *testing.T) {
	r := newRig(t)
	r.queue.crowd.narrow = true
	r.queue.engine.demux.add(&receiver{queue: r.socket(1), port: 443, partitions: []uint16{5}})
	want := uint16(3)
	for _, from := range []uint16{5000, 5000, 5001, 5000} {
		if from == 5001 {
			want = 5
		}
		r.wire.arriving = [][]byte{packet(t, from, 443, "x")}
		r.queue.Turn(r.ep, r.turn)
		if got := r.turn.Delivery[0].Chain.Partition; got != want {
			t.Errorf("of port %d: partition %d, want %d", from, got, want)
		}
	}
}
