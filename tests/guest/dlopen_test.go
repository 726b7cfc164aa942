// SPDX-License-Identifier: MIT

package guest

import (
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// A shared object that holds the archive can be loaded, used and closed again
// and again. The runtime cannot be unloaded, so it holds on to its object.
func TestDlopen(t *testing.T) {
	netnstest.Require(t)
	path := bareProgram(t, "dl")
	for _, kind := range []string{"exported", "hidden", "nodelete", "stripped"} {
		so := object(t, kind)
		for _, scenario := range []string{"reopened", "on_threads", "moved", "left_open"} {
			t.Run(kind+"/"+scenario, func(t *testing.T) {
				run(t, host{path: path, args: []string{scenario, so}})
			})
		}
	}
}

// An object whose copy has not been used is unloaded.
func TestDlcloseUnused(t *testing.T) {
	netnstest.Require(t)
	path := bareProgram(t, "dl")
	for _, kind := range []string{"exported", "hidden", "stripped"} {
		t.Run(kind, func(t *testing.T) {
			run(t, host{path: path, args: []string{"unused", object(t, kind)}})
		})
	}
}
