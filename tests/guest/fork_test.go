// SPDX-License-Identifier: MIT

package guest

import (
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// A child of fork is refused with a reason, and may delete what it has
// inherited; nothing that it does is seen by its parent.
func TestFork(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "forks"), "child_is_refused", "child_may_clean_up", "child_may_delete_tcp",
		"child_is_quiet", "child_ends")
}

// A child that was forked before the first datapath has a runtime of its own.
func TestForkBeforeInit(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "forks"), "fork_before_init")
}

// No lock that a thread of the parent held at the fork stops a child.
func TestForkUnderLoad(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "forks"), "many_forks")
}

// A program that is executed gets no descriptor of ours, at whatever moment.
func TestExec(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "forks"), "exec_leaks_nothing")
}
