// SPDX-License-Identifier: MIT

package datapath

import (
	"runtime"
	"sync"
	"testing"
)

func TestReserveMakesRoomForCallers(t *testing.T) {
	restoreProcs(t, 1)
	cpus := runtime.NumCPU()
	for _, test := range []struct{ callers, want int }{
		{0, 4*cpus + 4},
		{1, 4*cpus + 4},
		{cpus, 4*cpus + 4},
		{cpus + 1, 4*cpus + 8},
		{cpus + 10, 4*cpus + 44},
	} {
		if Reserve(test.callers); runtime.GOMAXPROCS(0) != test.want {
			t.Errorf("%d callers on %d CPUs: %d slots, want %d", test.callers, cpus, runtime.GOMAXPROCS(0), test.want)
		}
	}
}

func TestReserveNeverLowers(t *testing.T) {
	high := 4*runtime.NumCPU() + 40
	restoreProcs(t, high)
	for range 2 {
		if Reserve(1); runtime.GOMAXPROCS(0) != high {
			t.Fatalf("%d slots, were %d", runtime.GOMAXPROCS(0), high)
		}
	}
}

// Datapaths may be made at the same time; the largest need wins.
func TestReserveConcurrently(t *testing.T) {
	restoreProcs(t, 1)
	const most = 20
	var all sync.WaitGroup
	for n := range most + 1 {
		all.Go(func() { Reserve(n) })
	}
	all.Wait()
	if want := 4*max(most, runtime.NumCPU()) + 4; runtime.GOMAXPROCS(0) != want {
		t.Errorf("%d slots, want %d", runtime.GOMAXPROCS(0), want)
	}
}

// restoreProcs starts a test with n slots.
func restoreProcs(t *testing.T, n int) {
	before := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}
