// SPDX-License-Identifier: MIT

package guest

import (
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// Another Go runtime in the process, loaded before or after ours started, works
// beside it, on the same threads too.
func TestOtherGo(t *testing.T) {
	netnstest.Require(t)
	so := buildOnce(t, "othergo.so", func(out string) error {
		return command("go", "build", "-buildmode=c-shared", "-o", out, "./othergo")
	})
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			run(t, host{path: program(t, "twogo"), args: []string{when, so}})
		})
	}
}

// The variables of the Go runtime change nothing that a host would notice.
func TestEnvironment(t *testing.T) {
	netnstest.Require(t)
	for _, env := range []string{
		"GOMAXPROCS=1", "GOMAXPROCS=none", "GOGC=off", "GOGC=1", "GOMEMLIMIT=1MiB", "GOTRACEBACK=crash",
		"GODEBUG=asyncpreemptoff=0", "GODEBUG=madvdontneed=1,cgocheck=1", "GODEBUG=containermaxprocs=1",
	} {
		t.Run(env, func(t *testing.T) {
			run(t, host{path: program(t, "idle"), args: []string{"started"}, env: []string{env}, bare: true})
			run(t, host{path: program(t, "cycles"), args: []string{"used", "100"}, env: []string{env}})
		})
	}
}

// What the runtime is asked to print goes to stderr. It prints nothing else.
func TestDiagnostics(t *testing.T) {
	run(t, host{path: program(t, "idle"), args: []string{"started"}, env: []string{"GODEBUG=inittrace=1"}, bare: true,
		check: func(output string) {
			if !strings.Contains(output, "init runtime @") {
				t.Errorf("GODEBUG=inittrace=1 was not obeyed")
			}
		}})
}
