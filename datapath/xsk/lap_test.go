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
			q := createEmpty(t, &w.right, func(*Config) {})
			w.serve(t, 0, q.Socket)
			sender := raw(t, &w.left)
			fill := NewProducer(q.Fill)
			descs := make([]Desc, 1)
			for low := range uint32(testChunk) {
				chunk := low % rxChunks
				fill.Submit([]uint64{uint64(chunk)*testChunk + uint64(low)})
				send(t, sender, packet(0, low, 64))
				q.poll(t)
				q.RX.Peek(descs)
				p, got, ok := q.umem.Packet(descs[0])
				if !ok || got != chunk || descs[0].Addr != uint64(chunk)*testChunk+Headroom || len(p) != 64 || number(p) != low {
					t.Fatalf("FILL pointed to byte %d of chunk %d: got %+v", low, chunk, descs[0])
				}
				q.RX.Release(1)
			}
			if s, err := q.Statistics(); err != nil || s.RXDropped != 0 {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}
