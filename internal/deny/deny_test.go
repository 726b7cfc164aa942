// SPDX-License-Identifier: MIT

package deny

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

const childEnv = "DENY_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(childMain())
	}
	os.Exit(m.Run())
}

func childMain() int {
	err := Install(
		Call{unix.SYS_MEMBARRIER, unix.ENOSYS, nil},
		Call{unix.SYS_SOCKET, unix.EAFNOSUPPORT, map[int]uint32{0: unix.AF_UNIX, 1: unix.SOCK_DGRAM}},
	)
	if err != nil {
		return 2
	}
	_, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, 0, 0, 0)
	_, denied := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	_, other := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if errno != unix.ENOSYS || denied != unix.EAFNOSUPPORT || other != nil {
		return 3
	}
	return 0
}

func TestInstall(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}
