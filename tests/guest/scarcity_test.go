// SPDX-License-Identifier: MIT

package guest

import (
	"syscall"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// What the first datapath needs and cannot have is a failure with a reason, and
// the next attempt may succeed. What is lacking later fails calls, not the process.
func TestScarcity(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "limits"), "no_descriptors", "no_descriptors_later", "no_threads", "address_space")
}

// The limit: a thread that the runtime wants later, and cannot have, ends the process.
func TestNoThreadsLater(t *testing.T) {
	netnstest.Require(t)
	output, status := start(t, host{path: program(t, "limits"), args: []string{"no_threads_later"}})
	t.Logf("%s\n%s", describe(status), output)
	if status != 0 && (!status.Signaled() || status.Signal() != syscall.SIGABRT) {
		t.Errorf("neither traffic nor an abort")
	}
}
