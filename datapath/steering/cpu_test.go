// SPDX-License-Identifier: MIT

package steering

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// onEachCPU runs f on every CPU that this process may use.
func onEachCPU(t testing.TB, f func(cpu int)) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	defer unix.SchedSetaffinity(0, &all)
	for cpu := range len(all) * 64 {
		if !all.IsSet(cpu) {
			continue
		}
		one.Zero()
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			t.Fatal(err)
		}
		f(cpu)
	}
}
