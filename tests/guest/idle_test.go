// SPDX-License-Identifier: MIT

package guest

import (
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// A program that links the archive and makes no datapath has no thread,
// descriptor, handler or mask of ours, whatever else it calls.
func TestIdleHost(t *testing.T) {
	run(t, host{path: program(t, "idle"), args: []string{"getters"}, bare: true})
}

// The same holds for a static program.
func TestStaticHost(t *testing.T) {
	path := staticProgram(t, "idle")
	run(t, host{path: path, args: []string{"getters"}, bare: true})
	run(t, host{path: path, args: []string{"started"}, bare: true})
}

// The first datapath starts the runtime: these handlers, threads and descriptors.
func TestStarted(t *testing.T) {
	for _, scenario := range []string{"started", "asks"} {
		run(t, host{path: program(t, "idle"), args: []string{scenario}, bare: true})
	}
}

// A datapath without traffic costs no processor time.
func TestAtRest(t *testing.T) {
	netnstest.Require(t)
	scenarios(t, program(t, "idle"), "rest")
}
