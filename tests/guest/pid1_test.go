// SPDX-License-Identifier: MIT

package guest

import (
	"syscall"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// A host as process 1 of a container works and ends as it would without us.
func TestPID1(t *testing.T) {
	netnstest.Require(t)
	path := program(t, "pid1")
	for _, scenario := range []struct {
		name  string
		wants syscall.WaitStatus
	}{
		{"returns", exitCode(42)},
		{"exits_on_worker", exitCode(43)},
		{"without_proc", exitCode(42)},
		{"reaps", exitCode(44)},
		{"term_ignored", exitCode(45)},
		{"term_handled", exitCode(46)},
		{"aborts", killedBy(syscall.SIGSEGV)}, // its SIGABRT is ignored, and then it faults
		{"faults", killedBy(syscall.SIGSEGV)},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			run(t, host{path: path, args: []string{scenario.name}, wants: scenario.wants, init: true})
		})
	}
}
