// SPDX-License-Identifier: MIT

package netnstest

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRequire(t *testing.T) {
	Require(t)
	for _, test := range []struct {
		name, env       string
		euid            uintptr
		failed, skipped bool
	}{
		{name: "root"},
		{name: "root, no skips", env: "1"},
		{name: "user", euid: 65534, skipped: true},
		{name: "user, no skips", euid: 65534, env: "1", failed: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(requireEnv, test.env)
			var fake fakeTB
			returned := onThread(func() {
				// The raw call changes this thread only, which then ends.
				if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), test.euid, ^uintptr(0)); errno != 0 {
					t.Error("setresuid:", errno)
				}
				Require(&fake)
			})
			if fake.failed != test.failed || fake.skipped != test.skipped {
				t.Errorf("failed %v, skipped %v; want %v, %v", fake.failed, fake.skipped, test.failed, test.skipped)
			}
			if refused := test.failed || test.skipped; returned == refused {
				t.Errorf("returned %v, want %v", returned, !refused)
			} else if refused && !strings.Contains(fake.log, "uid 65534") {
				t.Errorf("the reason %q does not name the uid", fake.log)
			}
		})
	}
}
