// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"math"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 100, 2}, 3},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

// Whatever is compared, more is better for ours.
func TestRatiosAreHigherWhenOursIsBetter(t *testing.T) {
	better := metrics{mRate: 200, mCPU: 50, mP50: 10, mP99: 20}
	worse := metrics{mRate: 100, mCPU: 100, mP50: 20, mP99: 40}
	for name, ratio := range ratios(better, worse) {
		if !near(ratio, 2) {
			t.Errorf("%s: %v, want 2", name, ratio)
		}
	}
	if got := len(ratios(better, worse)); got != 4 {
		t.Errorf("%d ratios, want 4", got)
	}
}

func TestNoRatioWithoutBothFigures(t *testing.T) {
	if got := ratios(metrics{mRate: 1, mCPU: 0}, metrics{mRate: 0, mCPU: 1}); len(got) != 0 {
		t.Errorf("ratios of zeros: %v", got)
	}
}

func TestMetricsOfAReceiver(t *testing.T) {
	r := outcome{
		subject: result{Datagrams: 1000, WallNs: 1e6, CPUNs: 5e5, ThreadCPUNs: 4e5, RxCalls: 10},
		peer:    result{Datagrams: 2000, WallNs: 1e6},
	}
	m, err := metricsOf(benchCase{job: jobReceive}, r)
	if err != nil {
		t.Fatal(err)
	}
	want := metrics{mRate: 1e6, mCPU: 500, mThread: 400, mRxCalls: 0.01, mTxCalls: 0, mPeerRate: 2e6, mLost: 0}
	for name, v := range want {
		if !near(m[name], v) {
			t.Errorf("%s = %v, want %v", name, m[name], v)
		}
	}
}

// Of an echo the peer has the clock, and the server the price.
func TestMetricsOfAPing(t *testing.T) {
	r := outcome{
		subject: result{Datagrams: 100, WallNs: 9e9, CPUNs: 1e5},
		peer:    result{Datagrams: 90, WallNs: 1e6, Trips: 90, P50Ns: 11000, P99Ns: 99000},
	}
	m, err := metricsOf(benchCase{job: jobPing}, r)
	if err != nil {
		t.Fatal(err)
	}
	if !near(m[mRate], 90e3) || !near(m[mCPU], 1000) || !near(m[mP50], 11) || !near(m[mP99], 99) {
		t.Errorf("got %v", m)
	}
}

func TestNothingMeasuredIsAnError(t *testing.T) {
	full := result{Datagrams: 1, WallNs: 1, CPUNs: 1}
	for _, c := range []struct {
		job string
		r   outcome
	}{
		{jobReceive, outcome{peer: full}},
		{jobEcho, outcome{subject: full}},
		{jobPing, outcome{subject: full, peer: full}}, // no round trip
	} {
		if _, err := metricsOf(benchCase{job: c.job}, c.r); !errors.Is(err, errNothing) {
			t.Errorf("%s: %v, want %v", c.job, err, errNothing)
		}
	}
}

func TestSpreadIsThatOfTheMiddleHalf(t *testing.T) {
	var runs []metrics
	for _, rate := range []float64{1000, 90, 100, 110, 1} {
		runs = append(runs, metrics{mRate: rate, mCPU: 50})
	}
	if got := spread(runs); !near(got, 0.2) {
		t.Errorf("spread %v, want 0.2", got)
	}
}
