// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"slices"
)

// metrics are the figures of a run, or their medians over several, by name.
// ../README.md explains each.
type metrics map[string]float64

const (
	mRate     = "datagrams_per_s"
	mCPU      = "cpu_ns_per_datagram"
	mThread   = "thread_cpu_ns_per_datagram"
	mRxCalls  = "rx_calls_per_datagram"
	mTxCalls  = "tx_calls_per_datagram"
	mPeerRate = "peer_datagrams_per_s"
	mLost     = "lost"
	mByKernel = "by_kernel" // of AF_XDP: the share that went by the kernel's sockets
	mSyscalls = "system_calls_per_datagram"
	mAllocs   = "allocations_per_datagram"
	mTrips    = "trips"
	mP50      = "p50_us"
	mP99      = "p99_us"
	mLane     = "lane_ns"
	mWakeUp   = "wake_up_ns"
	mCold     = "cold_wake_up_ns"
	mSyscall  = "syscall_ns"
)

const (
	ratioRate = "rate"
	ratioCPU  = "cpu"
	ratioP50  = "p50"
	ratioP99  = "p99"
)

// comparisons names what ours and plain are compared by. All ratios are turned so
// that higher is better for ours: of times and prices, plain is divided by ours.
var comparisons = []comparison{
	{ratioRate, mRate, true},
	{ratioCPU, mCPU, false},
	{ratioP50, mP50, false},
	{ratioP99, mP99, false},
}

type comparison struct {
	ratio, metric  string
	higherIsBetter bool
}

var errNothing = errors.New("no datagram came through: nothing was measured")

// metricsOf computes the figures of one run.
func metricsOf(c benchCase, r outcome) (metrics, error) {
	if c.job == jobMicro {
		s := r.subject
		return metrics{mLane: s.LaneNs, mWakeUp: s.WakeUpNs, mCold: s.ColdWakeUpNs, mSyscall: s.SyscallNs}, nil
	}
	s, clock := r.subject, r.subject
	if c.job == jobEcho || c.job == jobPing {
		clock = r.peer // it decides when the measurement begins and ends
	}
	if s.Datagrams == 0 || clock.Datagrams == 0 || clock.WallNs == 0 {
		return nil, errNothing
	}
	m := metrics{
		mRate:    clock.Datagrams / clock.WallNs * 1e9,
		mCPU:     s.CPUNs / s.Datagrams,
		mThread:  s.ThreadCPUNs / s.Datagrams,
		mRxCalls: s.RxCalls / s.Datagrams,
		mTxCalls: s.TxCalls / s.Datagrams,
		mLost:    s.Lost,
	}
	if r.peer.WallNs != 0 {
		m[mPeerRate] = r.peer.Datagrams / r.peer.WallNs * 1e9
	}
	if c.link == linkXDP {
		if r.peer.Datagrams == 0 && c.job == jobSend {
			return nil, errNothing // the peer alone can tell which way they went
		}
		m[mByKernel] = s.ByKernel / s.Datagrams
		m[mAllocs] = s.Allocations / s.Datagrams
	}
	if c.job != jobPing {
		return m, nil
	}
	if r.peer.Trips == 0 {
		return nil, errNothing
	}
	m[mTrips], m[mP50], m[mP99] = r.peer.Trips, r.peer.P50Ns/1e3, r.peer.P99Ns/1e3
	return m, nil
}

// medians takes the median of each figure by itself.
func medians(runs []metrics) metrics {
	m := metrics{}
	for name := range runs[0] {
		m[name] = median(values(runs, name))
	}
	return m
}

func values(runs []metrics, name string) []float64 {
	v := make([]float64, len(runs))
	for i, r := range runs {
		v[i] = r[name]
	}
	return v
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// ratios compares two sets of figures.
func ratios(ours, plain metrics) metrics {
	out := metrics{}
	for _, c := range comparisons {
		a, b := ours[c.metric], plain[c.metric]
		if !c.higherIsBetter {
			a, b = b, a
		}
		if a > 0 && b > 0 {
			out[c.ratio] = a / b
		}
	}
	return out
}

// spread is how far the runs of one side lie apart: the distance of the
// quartiles over the median, of the figure that is compared and differs most.
// The 99th percentile differs always.
func spread(runs []metrics) float64 {
	worst := 0.0
	for _, c := range comparisons {
		if c.metric != mP99 {
			worst = max(worst, quartileSpread(values(runs, c.metric)))
		}
	}
	return worst
}

func quartileSpread(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if mid := median(v); mid > 0 {
		return (v[n-1-n/4] - v[n/4]) / mid
	}
	return 0
}
