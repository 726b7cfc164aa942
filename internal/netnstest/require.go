// SPDX-License-Identifier: MIT

package netnstest

import (
	"fmt"
	"os"
	"testing"
)

// requireEnv, set to 1, turns every skip into a failure. CI sets it: a skipped
// test must not look like a passed one.
const requireEnv = "REQUIRE_XDP"

// Require skips the test when it does not run as root, or fails it when
// REQUIRE_XDP=1. [New] calls it.
func Require(t testing.TB) {
	t.Helper()
	if uid := os.Geteuid(); uid != 0 {
		skip(t, fmt.Sprintf("needs root to make a network namespace, runs as uid %d", uid))
	}
}

// skip ends the test, as skipped or as failed.
func skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(requireEnv) == "1" {
		t.Fatalf("%s=1 forbids to skip: %s", requireEnv, reason)
	}
	t.Skip(reason)
}
