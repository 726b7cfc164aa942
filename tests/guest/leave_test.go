// SPDX-License-Identifier: MIT

package guest

import (
	"syscall"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// A host may end at any time, in any way, with datagrams on their way.
func TestLeave(t *testing.T) {
	netnstest.Require(t)
	path := program(t, "leave")
	for _, scenario := range []struct {
		name  string
		wants syscall.WaitStatus
	}{
		{"from_main", exitCode(0)},
		{"from_worker", exitCode(7)},
		{"at_exit", exitCode(8)},
		{"at_exit_worker", exitCode(9)},
		{"main_thread_ends", exitCode(10)},
		{"quick", exitCode(11)},
		{"aborts", killedBy(syscall.SIGABRT)},
		{"faults", killedBy(syscall.SIGSEGV)},
		{"faults_on_worker", killedBy(syscall.SIGSEGV)},
		{"terminated", killedBy(syscall.SIGTERM)},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			run(t, host{path: path, args: []string{scenario.name}, wants: scenario.wants, check: func(output string) {
				if output != "" {
					t.Errorf("the host said nothing, and yet there is: %s", output)
				}
			}})
		})
	}
}
