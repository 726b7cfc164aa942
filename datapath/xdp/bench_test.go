// SPDX-License-Identifier: MIT

package xdp

import (
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// still is a wire on which the same packets arrive again and again, and that sends
// into the same frames.
type still struct {
	*wire
	arriving [][]byte
	frames   [][]byte
}

func (s *still) Peek(limit int) int             { return min(limit, len(s.arriving)) }
func (s *still) Packet(i int) []byte            { return s.arriving[i] }
func (s *still) Release()                       {}
func (s *still) Reserve(n int) int              { return n }
func (s *still) Frame(i int) []byte             { return s.frames[i] }
func (s *still) Submit(packets []pool.Outgoing) {}

// newBench is a queue with a full turn of datagrams of the usual size that carry an
// identifier, for a listener that shares its port, and beside it one of another port.
func newBench(b *testing.B) *rig {
	r := newRig(b)
	id, _ := cibir.NewID([]byte{1})
	d := &r.queue.engine.demux
	d.add(&receiver{queue: r.socket(0), port: 443})
	d.add(&receiver{queue: r.socket(1), port: 4433, id: id, encoding: cibir.Encoding{Length: 1}})
	s := &still{wire: r.wire}
	for range pool.MaxTurn {
		s.arriving = append(s.arriving, packet(b, 5000, 4433, "\x40\x01"+strings.Repeat("x", 1278)))
		s.frames = append(s.frames, make([]byte, 1920))
	}
	r.queue.seat, r.queue.checksum = s, frame.Partial
	return r
}

// perDatagram reports the time of a full turn for each of its datagrams.
func perDatagram(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/pool.MaxTurn, "ns/datagram")
}

// BenchmarkTurn is all that a turn does between the rings and the sockets.
func BenchmarkTurn(b *testing.B) {
	r := newBench(b)
	b.ReportAllocs()
	for b.Loop() {
		r.queue.Turn(r.ep, r.turn)
		r.turn.Taken = 0 // the blocks are used again
	}
	perDatagram(b)
}

// parsed is a datagram of [newBench], taken apart.
func parsed(b *testing.B, r *rig) (p frame.Packet, payload []byte) {
	f := r.queue.seat.Packet(0)
	if frame.Parse(f, &p) != frame.OK {
		b.Fatal("the packet cannot be parsed")
	}
	return p, f[p.Offset : p.Offset+p.Length]
}

// BenchmarkDemux finds the socket of a datagram.
func BenchmarkDemux(b *testing.B) {
	r := newBench(b)
	p, payload := parsed(b, r)
	for _, c := range []struct {
		name   string
		number uint16
		run    bool // all are of one flow
	}{{"exclusive", 443, true}, {"shared", 4433, true}, {"exclusive, other flows", 443, false}, {"shared, other flows", 4433, false}} {
		b.Run(c.name, func(b *testing.B) {
			p.DestinationPort = c.number
			var to lookup
			b.ReportAllocs()
			for b.Loop() {
				for range pool.MaxTurn {
					if !(c.run && to.goesOn(payload)) && !to.find(&r.queue.engine.demux, &p, payload) {
						b.Fatal("nobody")
					}
				}
			}
			perDatagram(b)
		})
	}
}

// BenchmarkDescribe writes what MsQuic is told of a datagram.
func BenchmarkDescribe(b *testing.B) {
	r := newBench(b)
	p, payload := parsed(b, r)
	b.ReportAllocs()
	for b.Loop() {
		a := arrivals{q: r.queue, ep: r.ep, turn: r.turn, at: -1}
		a.train.Packet = p
		r.turn.Deliveries = 0
		a.find(payload)
		for range pool.MaxTurn {
			a.begin(len(payload))
			a.append(payload)
		}
		r.turn.Taken = 0
	}
	perDatagram(b)
}

// BenchmarkSend is all that a send does before the rings.
func BenchmarkSend(b *testing.B) {
	r := newBench(b)
	payload := strings.Repeat("x", 1280)
	var payloads []string
	for range batch.TxSegments / 2 {
		payloads = append(payloads, payload)
	}
	tx := outgoing(payloads...)
	b.ReportAllocs()
	for b.Loop() {
		if errno, _ := r.queue.transmit(tx, false); errno != 0 {
			b.Fatal(errno)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(tx.Count), "ns/datagram")
}
