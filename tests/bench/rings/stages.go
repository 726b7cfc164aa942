// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"os"
	"slices"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// stopwatch measures one stage after the other of a turn.
type stopwatch struct {
	stages   map[string]*stage
	last     time.Time
	overhead time.Duration // of one lap
}

// stage has what each packet of each turn took. Its median does not know of turns in which
// somebody else had the processor.
type stage []time.Duration

const maxSamples = 1 << 16

func newStopwatch(names ...string) *stopwatch {
	w := &stopwatch{stages: map[string]*stage{}}
	for _, name := range names {
		s := make(stage, 0, maxSamples)
		w.stages[name] = &s
	}
	w.begin()
	w.overhead = w.tick() // of a first one, which is slow
	for range 1000 {
		w.overhead = min(w.overhead, w.tick())
	}
	return w
}

func (w *stopwatch) begin() { w.last = time.Now() }

// tick returns the time since the last one.
func (w *stopwatch) tick() time.Duration {
	last := w.last
	w.last = time.Now()
	return w.last.Sub(last)
}

// lap ends a stage, in which there were n packets.
func (w *stopwatch) lap(s *stage, n int) {
	took := w.tick() - w.overhead
	if n > 0 && len(*s) < maxSamples {
		*s = append(*s, took*picoseconds/time.Duration(n))
	}
}

// picoseconds is what a sample counts in: some stages take less than a nanosecond.
const picoseconds = 1000

// report prints the nanoseconds of each packet.
func (w *stopwatch) report() error {
	out := map[string]float64{}
	for name, s := range w.stages {
		if len(*s) == 0 {
			continue // no packet came: whoever asked sees that from their number
		}
		slices.Sort(*s)
		out[name+"_ns"] = float64((*s)[len(*s)/2]) / picoseconds
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"datagrams": len(*w.stages["copy"]), "wall_ns": 1, "stages": out})
}

// receiveStages takes packets in as the datapath does, but all of a turn stage by stage.
func receiveStages(p *member, m *meter) error {
	ready()
	w := newStopwatch("peek", "copy", "parse", "release")
	peek, copying, parse, release := w.stages["peek"], w.stages["copy"], w.stages["parse"], w.stages["release"]
	private := make([]byte, turn*chunk)
	var lengths [turn]int
	var train frame.Train
	for m.goesOn() {
		w.begin()
		n := p.Peek(turn)
		if n == 0 {
			wait(p)
			continue
		}
		w.lap(peek, n)
		for i := range n {
			lengths[i] = copy(private[i*chunk:(i+1)*chunk], p.Packet(i))
		}
		w.lap(copying, n)
		for i := range n {
			if verdict, _ := train.Parse(private[i*chunk:][:lengths[i]]); verdict == frame.OK {
				m.now.Datagrams++
			}
		}
		w.lap(parse, n)
		p.Release()
		w.lap(release, n)
	}
	return w.report()
}

// sendStages sends as the datapath does, but all of a batch stage by stage.
func sendStages(p *member, m *meter) error {
	w := newStopwatch("reserve", "copy", "frame", "submit", "kick")
	reserve, copying, framing := w.stages["reserve"], w.stages["copy"], w.stages["frame"]
	submit, kick := w.stages["submit"], w.stages["kick"]
	payload := make([]byte, m.o.size)
	var h frame.Headers
	hold(m.o)
	for m.goesOn() {
		w.begin()
		n := p.Reserve(m.o.batch)
		w.lap(reserve, n)
		for i := range n {
			copy(p.Frame(i)[headers:], payload)
		}
		w.lap(copying, n)
		flow := flowOf(m.o)
		if err := h.Set(&flow); err != nil {
			return err
		}
		for i := range n {
			b := p.Frame(i)[:headers+m.o.size]
			if err := h.Put(b, frame.Partial); err != nil {
				return err
			}
			p.outgoing[i] = pool.Outgoing{Length: uint32(len(b)), ChecksumStart: checksum, ChecksumOffset: inPacket}
		}
		w.lap(framing, n)
		p.Submit(p.outgoing[:n])
		w.lap(submit, n)
		_ = p.Kick()
		w.lap(kick, n)
		m.now.Datagrams += uint64(n)
	}
	return w.report()
}
