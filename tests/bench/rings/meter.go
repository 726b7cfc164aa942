// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// counts and clocks are those of ../prog/meter.h, in a run's last line.
type counts struct {
	Datagrams   uint64 `json:"datagrams"`
	Bytes       uint64 `json:"bytes"`
	RxCalls     uint64 `json:"rx_calls"`
	TxCalls     uint64 `json:"tx_calls"`
	WallNs      int64  `json:"wall_ns"`
	CPUNs       int64  `json:"cpu_ns"`
	ThreadCPUNs int64  `json:"thread_cpu_ns"`
}

// meter measures from the end of the warm-up, which the first datagram starts.
type meter struct {
	o             *options
	stop          *atomic.Bool
	now           counts
	before, after counts
	phase         phase
	until         time.Duration // of the phase
}

type phase int

const (
	idle phase = iota
	warmUp
	measuring
	over
)

func clock(id int32) time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(id, &t)
	return time.Duration(t.Nano())
}

func (m *meter) take() counts {
	c := m.now
	c.WallNs = int64(clock(unix.CLOCK_MONOTONIC))
	c.CPUNs = int64(clock(unix.CLOCK_PROCESS_CPUTIME_ID))
	c.ThreadCPUNs = int64(clock(unix.CLOCK_THREAD_CPUTIME_ID))
	return c
}

func (m *meter) enter(p phase, d time.Duration) {
	m.phase, m.until = p, clock(unix.CLOCK_MONOTONIC)+d
	if d == 0 {
		m.until = 1<<63 - 1
	}
}

// goesOn is asked once in every pass of a job's loop.
func (m *meter) goesOn() bool {
	now := time.Duration(0)
	if m.phase != idle {
		now = clock(unix.CLOCK_MONOTONIC)
	}
	switch done := now >= m.until || m.stop.Load(); {
	case m.stop.Load() && m.phase < measuring:
		m.phase = over
	case m.phase == idle && m.now.Datagrams != 0:
		m.enter(warmUp, m.o.warmUp+1)
	case m.phase == warmUp && done:
		m.before = m.take()
		m.enter(measuring, m.o.time)
	case m.phase == measuring && done:
		m.after = m.take()
		m.phase = over
	}
	return m.phase != over
}

func ready() { fmt.Println("ready", serverPort) }

func (m *meter) report() error {
	a, b := &m.after, &m.before
	return json.NewEncoder(os.Stdout).Encode(counts{
		a.Datagrams - b.Datagrams, a.Bytes - b.Bytes, a.RxCalls - b.RxCalls, a.TxCalls - b.TxCalls,
		a.WallNs - b.WallNs, a.CPUNs - b.CPUNs, a.ThreadCPUNs - b.ThreadCPUNs,
	})
}
