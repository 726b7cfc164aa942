// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"strconv"
)

// identifierCounts are how many identifiers a port has when the classifier is measured.
var identifierCounts = []int{1, 10, 100, 1000, 10_000}

// markClassifier is how many nanoseconds of a packet the classifier may take.
const markClassifier = 40

const mPortOnly = "port_only_ns"

// classifierMetric names what a packet with a long or short header costs among n identifiers.
func classifierMetric(header string, n int) string { return fmt.Sprintf("%s_%d_ns", header, n) }

// measureClassifier has the kernel run the XDP program again and again (BPF_PROG_TEST_RUN), beside
// one that looks at the port alone.
func (b *bench) measureClassifier(ctx context.Context, r *report, c benchCase) error {
	got, err := b.classify(ctx, "^(exclusive|short|long|other.port)$")
	if err != nil {
		return err
	}
	m, plain := metrics{}, metrics{}
	for _, n := range identifierCounts {
		for _, header := range []string{"short", "long"} {
			figures := got[fmt.Sprintf("Classify/%s/identifiers=%d", header, n)]
			m[classifierMetric(header, n)] = figures[leastNs]
			plain[mPortOnly] = max(plain[mPortOnly], figures["port-only-"+leastNs])
		}
	}
	m["exclusive_ns"] = got["Classify/exclusive/identifiers=1"][leastNs]
	m["other_port_ns"] = got["Classify/other_port/identifiers=1"][leastNs]
	c.variant.mark = markClassifier
	r.add(c, map[string][]metrics{sideOurs: {m}, sidePlain: {plain}})
	return nil
}

// leastNs is what the benchmark calls the least that one of its rounds took. Others on the host
// make rounds take longer, for seconds at times, but none shorter.
const leastNs = "least-ns"

// classifierPasses are made from the first case to the last, so that who is in the way of one meets
// others the next time.
const classifierPasses = 3

// classify runs those benchmarks of the classifier, and returns the least of each figure. A round
// takes the kernel some ten milliseconds to get ready for, however short it is.
func (b *bench) classify(ctx context.Context, pattern string) (map[string]metrics, error) {
	var all map[string]metrics
	for range classifierPasses {
		got, err := b.goBench(ctx, "classifier", "^BenchmarkClassify$/"+pattern, b.rounds(60, 7))
		if err != nil {
			return nil, err
		}
		all = leastOf(all, got)
	}
	return all, nil
}

// leastOf takes the least of each figure of benchmarks; a may be nil.
func leastOf(a, b map[string]metrics) map[string]metrics {
	if a == nil {
		return b
	}
	for name, figures := range b {
		for unit, v := range figures {
			a[name][unit] = min(a[name][unit], v)
		}
	}
	return a
}

// rounds is how often a benchmark is run, as Go's tests want to be told.
func (b *bench) rounds(full, quick int) string {
	if b.o.quick {
		full = quick
	}
	return strconv.Itoa(full) + "x"
}

// measureStages finds out what a datagram costs where, and what is done for it how often.
func (b *bench) measureStages(ctx context.Context, r *report, c benchCase) error {
	if err := b.openXDP(); err != nil {
		return err
	}
	m, plain := metrics{}, metrics{}
	for _, part := range []func(context.Context, metrics, metrics) error{b.goStages, b.liveStages, b.crossing, b.counted} {
		if err := part(ctx, m, plain); err != nil {
			return err
		}
	}
	r.add(c, map[string][]metrics{sideOurs: {m}, sidePlain: {plain}})
	return nil
}

// goStages are those that need no packets: benchmarks of Go.
func (b *bench) goStages(ctx context.Context, m, _ metrics) error {
	got, err := b.goBench(ctx, "xdp", ".", b.rounds(50_000, 1000))
	if err != nil {
		return err
	}
	for metric, name := range map[string]string{
		"demux_exclusive_ns": "Demux/exclusive", "demux_shared_ns": "Demux/shared", "describe_ns": "Describe",
		"turn_ns": "Turn", "send_ns": "Send",
	} {
		m[metric] = got[name]["ns/datagram"]
	}
	m["turn_go_allocations"], m["send_go_allocations"] = got["Turn"]["allocs/op"], got["Send"]["allocs/op"]
	got, err = b.classify(ctx, "^(exclusive|short)$/^identifiers=1$")
	if err != nil {
		return err
	}
	m["classifier_exclusive_ns"] = got["Classify/exclusive/identifiers=1"][leastNs]
	m["classifier_shared_ns"] = got["Classify/short/identifiers=1"][leastNs]
	return nil
}

// liveStages are those of a member of a pool that does work with a peer.
func (b *bench) liveStages(ctx context.Context, m, _ metrics) error {
	c := benchCase{job: jobReceive, link: linkXDP, payload: 1280, batch: 32}
	c.variant = variant{program: "bench_xdp_rings", processes: 1, args: []string{"on=pool"}}
	for _, way := range []struct{ job, stages string }{{jobReceive, "receive-stages"}, {jobSend, "send-stages"}} {
		c.job, c.stages = way.job, way.stages
		got, _, err := b.tryRun(ctx, c, "")
		if err != nil {
			return err
		}
		for name, v := range got.subject.Stages {
			m[way.job+"_"+name] = v
		}
	}
	return nil
}

// crossing is the call from C into Go and back, as the case micro has it.
func (b *bench) crossing(ctx context.Context, m, _ metrics) error {
	got, err := b.run(ctx, benchCase{job: jobMicro}, sideOurs)
	m["crossing_ns"], m["lane_ns"] = got.subject.WakeUpNs, got.subject.LaneNs
	return err
}

// counted are runs of their own, since to count system calls makes them slow.
func (b *bench) counted(ctx context.Context, m, plain metrics) error {
	for _, job := range xdpJobs {
		c := benchCase{job: job, link: linkXDP, payload: 1280, batch: 32}
		c.counts = true
		for _, side := range []struct {
			v   variant
			out metrics
		}{{variants()[2], m}, {plainLoop, plain}} {
			c.variant = side.v
			got, _, err := b.tryRun(ctx, c, "")
			if err != nil {
				return err
			}
			s := got.subject
			side.out[job+"_"+mSyscalls] = s.SystemCalls / s.Datagrams
			side.out[job+"_calls_into_go_per_datagram"] = (s.RxCalls + s.TxCalls) / s.Datagrams
			side.out[job+"_"+mAllocs] = s.Allocations / s.Datagrams
			if s.CallbackNs != 0 {
				side.out["callback_ns"] = s.CallbackNs / s.Datagrams
			}
		}
	}
	return nil
}
