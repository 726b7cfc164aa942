// SPDX-License-Identifier: MIT

package guest

import (
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// Datapaths that come and go leave nothing behind.
func TestCycles(t *testing.T) {
	netnstest.Require(t)
	path := program(t, "cycles")
	for _, kind := range []string{"bare", "used"} {
		t.Run(kind, func(t *testing.T) {
			run(t, host{path: path, args: []string{kind, "1000"}})
		})
	}
}

// The runtime starts once, whoever comes first.
func TestFirstTogether(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "threads"), "first_together")
}

// Many threads send at once, and none waits for ever, even where the
// environment leaves Go a single processor.
func TestManySenders(t *testing.T) {
	netnstest.Require(t)
	for _, env := range []string{"GOMAXPROCS=", "GOMAXPROCS=1"} {
		t.Run(env, func(t *testing.T) {
			run(t, host{path: program(t, "threads"), args: []string{"senders"}, env: []string{env}})
		})
	}
}

// Small stacks will do, and stacks that are the host's own.
func TestStacks(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "threads"), "small_stack", "smallest", "coroutine")
}

// Threads that have called us and end leave no thread and no memory of Go's.
func TestThreadsEnd(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "threads"), "recreated")
}

// Threads may be cancelled while they send.
func TestThreadsCancelled(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "threads"), "cancelled")
}

// What a thread asks for it gets in its own network namespace.
func TestNamespaceOfThread(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "threads"), "namespaces")
}
