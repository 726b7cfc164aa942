// SPDX-License-Identifier: MIT

package xsk

import (
	"sync/atomic"
	"testing"
)

const batch = 64

// perPacket reports the time of a batch for each of its packets.
func perPacket(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/packet")
}

// BenchmarkReceiveTurn is what a member does with 64 packets, but to copy them out:
// peek, check, give the chunks back, release. The kernel's part is to move two
// indexes.
func BenchmarkReceiveTurn(b *testing.B) {
	rx, fill := newRing[Desc](b, 1024), newRing[uint64](b, 1024)
	umem := &UMEM{Memory: make([]byte, 512*testChunk), Chunk: testChunk}
	for i := range rx.size {
		*rx.at(i) = Desc{Addr: uint64(i%512)*testChunk + Headroom, Len: 1294}
	}
	in, out := NewConsumer(rx), newSharedFill(b, fill)
	descs, chunks := make([]Desc, batch), make([]uint64, batch)
	for b.Loop() {
		atomic.AddUint32(rx.producer, batch)
		n := 0
		for _, d := range descs[:in.Peek(descs)] {
			if _, _, ok := umem.Packet(d); ok {
				chunks[n] = d.Addr
				n++
			}
		}
		if out.Push(chunks[:n]) != batch {
			b.Fatal("not all were pushed")
		}
		in.Release(batch)
		atomic.StoreUint32(fill.consumer, atomic.LoadUint32(fill.producer))
	}
	perPacket(b)
}

// BenchmarkFillAlone is the FILL part of it with a ring of one's own, which is what
// sharing costs.
func BenchmarkFillAlone(b *testing.B) {
	fill := newRing[uint64](b, 1024)
	out := NewProducer(fill)
	chunks := make([]uint64, batch)
	for b.Loop() {
		if out.Submit(chunks) != batch {
			b.Fatal("not all were pushed")
		}
		atomic.StoreUint32(fill.consumer, atomic.LoadUint32(fill.producer))
	}
	perPacket(b)
}

func BenchmarkFillShared(b *testing.B) {
	fill := newRing[uint64](b, 1024)
	out := newSharedFill(b, fill)
	chunks := make([]uint64, batch)
	for b.Loop() {
		if out.Push(chunks) != batch {
			b.Fatal("not all were pushed")
		}
		atomic.StoreUint32(fill.consumer, atomic.LoadUint32(fill.producer))
	}
	perPacket(b)
}

// BenchmarkFillContended is the same by several threads at once.
func BenchmarkFillContended(b *testing.B) {
	fill := newRing[uint64](b, 1<<16)
	out := newSharedFill(b, fill)
	b.RunParallel(func(pb *testing.PB) {
		chunks := make([]uint64, batch)
		for pb.Next() {
			for out.Push(chunks) != batch {
				atomic.StoreUint32(fill.consumer, atomic.LoadUint32(fill.producer)) // full
			}
		}
	})
	perPacket(b)
}

// BenchmarkTransmitTurn is what a member does with 64 packets that are written
// already: begin the flights, submit, reap.
func BenchmarkTransmitTurn(b *testing.B) {
	tx, completion := newRing[Desc](b, 1024), newRing[uint64](b, 1024)
	done, err := NewSharedCompletion(completion, make([]uint32, batch), 0, testChunk)
	if err != nil {
		b.Fatal(err)
	}
	for i := range completion.size {
		*completion.at(i) = uint64(i%batch) * testChunk
	}
	out := NewProducer(tx)
	descs := make([]Desc, batch)
	for b.Loop() {
		for i := range descs {
			done.Begin(uint32(i))
		}
		if out.Submit(descs) != batch {
			b.Fatal("not all were submitted")
		}
		atomic.StoreUint32(tx.consumer, atomic.LoadUint32(tx.producer))
		atomic.AddUint32(completion.producer, batch)
		if done.Reap(batch) != batch {
			b.Fatal("not all were reaped")
		}
	}
	perPacket(b)
}

// BenchmarkWire sends packets of 1294 bytes from one end of a native veth pair to the
// other, and copies them out, all on one thread.
func BenchmarkWire(b *testing.B) {
	w := newWire(b, attachModes[0].mode)
	left := createEmpty(b, &w.left, func(c *Config) { c.TXBudget = batch })
	right := create(b, &w.right, newUMEM(b))
	w.serve(b, 0, right.Socket)
	newRedirect(b, &w.left, attachModes[0].mode) // native at both ends, as in use
	out, in, chunks := make([]Desc, batch), make([]Desc, batch), make([]uint64, batch)
	for i := range out {
		out[i] = Desc{Addr: uint64(rxChunks+i) * testChunk, Len: 1294}
		memory, _, _ := left.umem.Packet(out[i])
		copy(memory, packet(0, uint32(i), 1294))
	}
	buffer := make([]byte, testChunk)
	for b.Loop() {
		for i := range out {
			left.done.Begin(uint32(rxChunks + i))
		}
		left.TX.Submit(out)
		for received := 0; received < batch; {
			left.Transmit() // EAGAIN where the softirq runs elsewhere
			left.done.Reap(batch)
			got := right.RX.Peek(in)
			for i, d := range in[:got] {
				p, _, _ := right.umem.Packet(d)
				copy(buffer, p)
				chunks[i] = d.Addr
			}
			right.fill.Push(chunks[:got])
			right.RX.Release(got)
			received += got
		}
		for left.done.Busy(rxChunks + batch - 1) {
			left.done.Reap(batch)
		}
	}
	perPacket(b)
}
