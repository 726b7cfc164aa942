// SPDX-License-Identifier: MIT

package guest

import (
	"syscall"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// A host's handlers work, on its own threads, on workers, and after the end of
// the datapath. Before the runtime starts they may be of any kind; afterwards
// they have SA_ONSTACK, see TestHandlersNeedOnstack.
func TestHandlers(t *testing.T) {
	netnstest.Require(t)
	path := program(t, "signals")
	for _, scenario := range []string{"fault", "prof", "urg", "usr1", "chld", "pipe_handler"} {
		for _, kind := range [][2]string{{"before", "onstack"}, {"before", "plain"}, {"after", "onstack"}} {
			t.Run(scenario+"/"+kind[0]+"/"+kind[1], func(t *testing.T) {
				run(t, host{path: path, args: []string{scenario, kind[0], kind[1]}})
			})
		}
	}
}

// A host without a handler for SIGPIPE dies of it or ignores it, as it has chosen.
func TestSIGPIPE(t *testing.T) {
	netnstest.Require(t)
	path := program(t, "signals")
	for _, when := range []string{"before", "after"} {
		t.Run("ignored/"+when, func(t *testing.T) {
			run(t, host{path: path, args: []string{"pipe_ignored", when, "plain"}})
		})
	}
	for _, where := range []string{"pipe_default", "pipe_default_on_worker"} {
		t.Run(where, func(t *testing.T) {
			run(t, host{path: path, args: []string{where, "after", "plain"}, wants: killedBy(syscall.SIGPIPE)})
		})
	}
}

// What a host has blocked in all its threads is blocked in all threads of the
// process, so that a signalfd gets it.
func TestSignalfd(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "masks"), "signalfd", "signalfd_late")
}

// The masks of the host's threads do not change when they call us.
func TestMasks(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "masks"), "worker_mask")
}

// A thread keeps its signal stack, and is lent one if it has none.
func TestSignalStacks(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "masks"), "stack_kept", "stack_lent")
}

// A host may change its user, which the C library tells every thread by a signal.
func TestSetuid(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "masks"), "setxid")
}

// The limit: without SA_ONSTACK a handler that is installed after the runtime
// has started may run on a stack of Go's, which is small.
func TestHandlersNeedOnstack(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "masks"), "needs_onstack")
}
