// SPDX-License-Identifier: MIT

package killpoint

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
)

// StrideEnv names the environment variable that says at which points [Each] kills:
// 1 is all of them, 3 every third. Without it the test says.
const StrideEnv = "KILLPOINT_STRIDE"

// Each runs an operation with a kill at its first point, at its second, and so on until it
// comes to its end; stride leaves points out, so that a test is quick, unless the environment
// says otherwise. After each kill it calls check. It logs how many kills there were.
func Each(t testing.TB, stride int, run func(n int) (Outcome, error), check func(Outcome)) {
	t.Helper()
	if s, err := strconv.Atoi(os.Getenv(StrideEnv)); err == nil && s > 0 {
		stride = s
	}
	kills, where := 0, map[string]int{}
	for n := 1; ; n += stride {
		o, err := run(n)
		if err != nil {
			t.Fatalf("kill at point %d: %v", n, err)
		}
		if check(o); t.Failed() {
			t.Fatalf("killed at point %d, %s", n, o.Where)
		}
		if !o.Killed {
			t.Logf("kills=%d points=%d stride=%d: %s", kills, o.Points, stride, summary(where))
			return
		}
		kills++
		where[o.Where]++
	}
}

// summary says where the kills were.
func summary(where map[string]int) (s string) {
	for i, name := range slices.Sorted(maps.Keys(where)) {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%s %d", name, where[name])
	}
	return s
}

// NeedsPlainBuild skips a test that follows a thread instruction by instruction, where those
// of the race detector are among them: that takes minutes, and shows the same.
func NeedsPlainBuild(t testing.TB) {
	t.Helper()
	if race {
		t.Skip("follows every instruction: not in a build with the race detector")
	}
}
