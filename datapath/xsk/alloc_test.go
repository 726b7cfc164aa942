// SPDX-License-Identifier: MIT

package xsk

import "testing"

func TestNoVerbAllocates(t *testing.T) {
	w := newWire(t, attachModes[0].mode)
	q := create(t, &w.right, newUMEM(t))
	w.serve(t, 0, q.Socket)
	sender, p := raw(t, &w.left), packet(0, 1, 64)
	descs, chunks, pending := make([]Desc, batch), make([]uint64, batch), make([]uint64, 0, ringSize)
	n := testing.AllocsPerRun(100, func() {
		send(t, sender, p)
		got := q.RX.Peek(descs)
		for i, d := range descs[:got] {
			if _, _, ok := q.umem.Packet(d); !ok {
				t.Error("a descriptor makes no sense")
			}
			chunks[i] = d.Addr
		}
		if q.fill.Push(chunks[:got]) != 1 {
			t.Error("no packet was received")
		}
		q.RX.Release(got)

		const chunk = rxChunks
		descs[0] = Desc{Addr: chunk * testChunk, Len: 64}
		if !q.done.Busy(chunk) && q.TX.Reserve(1) == 1 && q.TX.NeedWakeup() {
			q.done.Begin(chunk)
			q.TX.Submit(descs[:1])
			q.Transmit()
		}
		q.Receive()
		q.Withdraw()
		if q.TX.Len() != 0 || q.done.Reap(batch) != 1 || q.done.Busy(chunk) {
			t.Error("no packet was sent")
		}
		q.fill.Help()
		q.fill.NeedWakeup()
		pending = q.fill.Pending(pending[:0])
		RequestChecksum(q.umem.Memory, 34, 6)
	})
	if n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
}
