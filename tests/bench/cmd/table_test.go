// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// full is a report of every case, with numbers as long as they may become.
func full() *report {
	r := &report{
		Schema: schema, Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Kernel: "6.18.44-something", CPUs: 128,
		CPUModel: "A Processor With A Long Name @ 3.00GHz", Pinned: true, Archive: strings.Repeat("a", 64),
		Quick: true, Repeats: 5, Seconds: 1,
	}
	m := metrics{
		mRate: 23456789, mCPU: 123456, mThread: 1, mRxCalls: 1.25, mTxCalls: 1, mPeerRate: 1, mLost: 0,
		mTrips: 1, mP50: 12345.6, mP99: 99999.9, mLane: 1234.5, mWakeUp: 1234.5, mCold: 1234.5, mSyscall: 1234.5,
	}
	noisy := metrics{mRate: 3, mCPU: 3, mP50: 3}
	for _, n := range identifierCounts {
		m[classifierMetric("short", n)], m[classifierMetric("long", n)] = 123.4, 123.4
	}
	m[mByKernel] = 0.123
	for _, rows := range [][]stageRow{receiveStages, sendStages} {
		for _, row := range rows {
			m[row.metric] = 12345.6
		}
	}
	for _, c := range cases() {
		runs := map[string][]metrics{sideOurs: {m, noisy, m}, sidePlain: {m, m}}
		if c.job == jobMicro {
			delete(runs, sidePlain)
		}
		r.add(c, runs)
	}
	return r
}

func TestTableFitsIn80Columns(t *testing.T) {
	var out strings.Builder
	if err := full().writeTable(&out); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"6.18.44-something", "128 CPUs", "2026-01-02", "HIGHER IS BETTER", "QUICK RUN", " ~\n", "plain C loop", "copy out of the frame", "10 000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q", want)
		}
	}
}

func TestJSONHoldsEveryCase(t *testing.T) {
	var out strings.Builder
	if err := full().writeJSON(&out); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal([]byte(out.String()), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Cases) != len(cases()) {
		t.Errorf("%d cases, want %d", len(back.Cases), len(cases()))
	}
	for _, c := range back.Cases {
		if c.Link != "" && len(c.Ratio) == 0 {
			t.Errorf("%s has no ratio", c.Name)
		}
	}
}
