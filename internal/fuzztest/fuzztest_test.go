// SPDX-License-Identifier: MIT

package fuzztest

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

func TestRunEnds(t *testing.T) {
	for _, test := range []struct {
		name, packets, seconds string
		judged                 int
		more                   bool
	}{
		{"usual", "", "", usual - 1, true},
		{"usual, at its end", "", "", usual, false},
		{"packets", "7", "", 6, true},
		{"packets, at their end", "7", "1000", 7, false},
		{"seconds", "", "1000", 10 * usual, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(packetsEnv, test.packets)
			t.Setenv(secondsEnv, test.seconds)
			t.Setenv(seedEnv, "5")
			r := Start(t)
			if more := r.More(test.judged); more != test.more {
				t.Errorf("after %d packets: goes on %v", test.judged, more)
			}
			if r.end = time.Now(); r.More(0) && test.seconds != "" {
				t.Error("goes on when the time is over")
			}
		})
	}
}

// scripts/fuzz.sh reads it.
func TestSummary(t *testing.T) {
	r := &Run{Seed: 3}
	r.More(12)
	if got, want := r.summary("x"), "differential: program=x packets=12 seed=3 differences=0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const keep = 4
	whole := []byte("0123456789abcdef")
	same := 0
	for range 100_000 {
		b := append(make([]byte, 0, 40), whole[:keep+random.IntN(len(whole)-keep+1)]...)
		before := bytes.Clone(b)
		b = Damage(random, b, keep)
		if len(b) < keep || cap(b) != 40 || !bytes.Equal(b[:keep], whole[:keep]) {
			t.Fatalf("%q became %q", before, b)
		}
		if bytes.Equal(b, before) {
			same++
		}
	}
	if same < 40_000 || same > 80_000 {
		t.Errorf("%d of 100000 unchanged", same)
	}
	b := append(make([]byte, 0, 40), whole...)
	if n := testing.AllocsPerRun(100, func() { Damage(random, b, keep) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
