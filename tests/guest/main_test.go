// SPDX-License-Identifier: MIT

// Package guest tests that the archive, and the Go runtime in it, is a good
// guest in the process of a C program that knows nothing of Go.
//
// The C programs in c/ are such hosts: each plays one kind, links
// build/libmsquicxdp.a and the platform of tests/host, and looks at its own
// threads, descriptors, signals and children. These tests compile them, run
// each scenario in a network namespace of its own, with a deadline, and check
// how it ended. docs/HOST.md says what is promised, and names the test behind
// every promise.
//
// Network namespaces need root: without it most tests are skipped, and with
// REQUIRE_XDP=1 they fail instead.
package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// work is the folder of everything that is compiled.
var work string

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "msquicxdp-guest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv(rundir.Env, filepath.Join(work, "state")) // claims on ports are the tests' own affair
	code := m.Run()
	os.RemoveAll(work)
	os.Exit(code)
}
