// SPDX-License-Identifier: MIT

package fuzztest

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// How long a run is, and from what it begins. It ends with what is reached first of those that are set.
const (
	packetsEnv = "MSQUICXDP_FUZZ_PACKETS"
	secondsEnv = "MSQUICXDP_FUZZ_SECONDS"
	seedEnv    = "MSQUICXDP_FUZZ_SEED"
)

// usual is how many packets a run has as a part of the tests.
const usual = 100_000

// Run is a differential run. Several goroutines may share it.
type Run struct {
	Seed   uint64
	most   uint64 // packets; 0: no limit
	end    time.Time
	judged atomic.Uint64
}

// Start begins a run of the length that the environment asks for.
func Start(t testing.TB) *Run {
	t.Helper()
	r := &Run{Seed: number(t, seedEnv), most: number(t, packetsEnv)}
	if seconds := number(t, secondsEnv); seconds != 0 {
		r.end = time.Now().Add(time.Duration(seconds) * time.Second)
	} else if r.most == 0 {
		r.most = usual
	}
	return r
}

func number(t testing.TB, env string) uint64 {
	t.Helper()
	text := os.Getenv(env)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", env, err)
	}
	return n
}

// More adds so many packets to those that have been judged alike, and reports whether the run goes on.
func (r *Run) More(judged int) bool {
	n := r.judged.Add(uint64(judged))
	return (r.most == 0 || n < r.most) && (r.end.IsZero() || time.Now().Before(r.end))
}

// Long reports whether there were so many packets that all that can happen has happened to some.
func (r *Run) Long() bool { return r.judged.Load() >= 20*usual }

// Report prints, unless the test has failed, what the run has shown of a program. scripts/fuzz.sh reads it.
func (r *Run) Report(t testing.TB, program string) {
	t.Helper()
	if !t.Failed() {
		t.Log(r.summary(program))
	}
}

func (r *Run) summary(program string) string {
	return fmt.Sprintf("differential: program=%s packets=%d seed=%d differences=0", program, r.judged.Load(), r.Seed)
}
