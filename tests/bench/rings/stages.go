// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
)

// stopwatch measures one stage after the other of a turn, and adds up.
type stopwatch struct {
	stages   map[string]*time.Duration
	packets  int
	last     time.Time
	overhead time.Duration // of one lap
}

func newStopwatch(stages ...string) *stopwatch {
	w := &stopwatch{stages: map[string]*time.Duration{}}
	for _, s := range stages {
		w.stages[s] = new(time.Duration)
	}
	const laps = 1000
	w.begin()
	start := w.last
	var sum time.Duration
	for range laps {
		w.lap(&sum)
	}
	w.overhead = w.last.Sub(start) / laps
	return w
}

func (w *stopwatch) begin() { w.last = time.Now() }

// lap adds the time since the last one to a stage.
func (w *stopwatch) lap(stage *time.Duration) {
	now := time.Now()
	*stage += now.Sub(w.last) - w.overhead
	w.last = now
}

// report prints nanoseconds for each packet.
func (w *stopwatch) report() error {
	out := map[string]float64{"packets": float64(w.packets)}
	for name, d := range w.stages {
		out[name+"_ns"] = float64(d.Nanoseconds()) / float64(w.packets)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"stages": out})
}

// receiveStages takes packets in as the datapath does, but all of a turn stage by stage.
func receiveStages(p *member, m *meter) error {
	ready()
	w := newStopwatch("peek", "copy", "parse", "release")
	peek, copying, parse, release := w.stages["peek"], w.stages["copy"], w.stages["parse"], w.stages["release"]
	private := make([]byte, turn*chunk)
	var lengths [turn]int
	var packet frame.Packet
	for m.goesOn() {
		w.begin()
		n := p.Peek(turn)
		if n == 0 {
			wait(p)
			continue
		}
		w.lap(peek)
		for i := range n {
			lengths[i] = copy(private[i*chunk:(i+1)*chunk], p.Packet(i))
		}
		w.lap(copying)
		for i := range n {
			if frame.Parse(private[i*chunk:][:lengths[i]], &packet) == frame.OK {
				m.now.Datagrams++
			}
		}
		w.lap(parse)
		p.Release()
		w.lap(release)
		w.packets += n
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
		w.lap(reserve)
		for i := range n {
			copy(p.Frame(i)[headers:], payload)
		}
		w.lap(copying)
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
		w.lap(framing)
		p.Submit(p.outgoing[:n])
		w.lap(submit)
		_ = p.Kick()
		w.lap(kick)
		w.packets += n
		m.now.Datagrams += uint64(n)
	}
	return w.report()
}
