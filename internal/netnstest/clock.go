// SPDX-License-Identifier: MIT

package netnstest

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// SetClocks lets a command that is still to be started run with clocks of its own, which are ahead of ours: CLOCK_MONOTONIC
// and CLOCK_BOOTTIME, as after another time since the start of the machine. The command is to be given with its path.
// (CLOCK_REALTIME is the machine's, and no test's.)
func SetClocks(t testing.TB, cmd *exec.Cmd, ahead time.Duration) {
	t.Helper()
	Require(t)
	path, err := exec.LookPath("unshare")
	if err != nil {
		skip(t, err.Error())
	}
	seconds := fmt.Sprint(int64(ahead / time.Second))
	cmd.Args = append([]string{path, "--time", "--monotonic", seconds, "--boottime", seconds, "--", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = path
}

// Clock is CLOCK_MONOTONIC of the process, since the start of the machine.
func Clock() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}
