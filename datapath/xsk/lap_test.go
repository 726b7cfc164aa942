// SPDX-License-Identifier: MIT

package xsk

import (
	"testing"

	"github.com/cilium/ebpf/link"
)

var attachModes = []struct {
	name string
	mode link.XDPAttachFlags
}{
	{"native", link.XDPDriverMode},
	{"generic", link.XDPGenericMode},
}

// The lap numbers of SharedFill rest on this.
func TestKernelIgnoresWhereInAChunkFillPoints(t *testing.T) {
	for _, attach := range attachModes {
		t.Run(attach.name, func(t *testing.T) {
			w := newWire(t, attach.mode)
			q := create(t, &w.right, newUMEM(t))
			w.serve(t, 0, q.Socket)
			sender := raw(t, &w.left)
			// Every value of the low bits, and twice all laps.
			const packets = 2 * testChunk
			seen := map[uint64]int{}
			want := uint32(0)
			for i := 0; i < packets/32; i++ {
				for j := 0; j < 32; j++ {
					send(t, sender, packet(0, uint32(32*i+j), 64))
				}
				q.poll(t)
				descs := make([]Desc, 64)
				n := q.RX.Peek(descs)
				for _, d := range descs[:n] {
					p, _, ok := q.umem.Packet(d)
					if !ok || len(p) != 64 || number(p) != want {
						t.Fatalf("desc %+v: ok %v number %d want %d", d, ok, number(p), want)
					}
					want++
					if d.Addr%testChunk != Headroom {
						t.Fatalf("packet at %d of its chunk", d.Addr%testChunk)
					}
					seen[d.Addr/testChunk]++
					// Put back with a tag of its own choice
					q.fill.ring.snapshot(0)
					if k := q.fill.Push([]uint64{d.Addr + uint64(want)%testChunk - Headroom}); k != 1 {
						t.Fatal(k)
					}
				}
				q.RX.Release(n)
			}
			if want != packets {
				t.Errorf("%d packets of %d", want, packets)
			}
			if len(seen) != rxChunks {
				t.Errorf("%d chunks of %d", len(seen), rxChunks)
			}
			st, err := q.Statistics()
			t.Logf("%+v %v laps to %#x pending %d", st, err, q.fill.tag(q.fill.producer()), len(q.fill.Pending(nil)))
		})
	}
}
