// SPDX-License-Identifier: MIT

package netnstest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// Child is a process of the test's own program.
type Child struct {
	Stdin  io.Closer
	Stdout *bufio.Reader

	cmd *exec.Cmd
}

// StartChild starts the test's program once more, in ns and with an environment variable
// ("NAME=value") that tells its TestMain what to be. The child gets copies of descriptors, as
// 3 and up, and has printed the line "ready" on return. It is killed when the test ends, if
// not before.
func (ns *NS) StartChild(t testing.TB, variable string, fds ...int) *Child {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), variable)
	cmd.Stderr = t.Output()
	for _, fd := range fds {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(dup), "")
		defer file.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, file)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ns.Do(t, cmd.Start) // cloned from this thread, hence in its namespace
	c := &Child{Stdin: stdin, Stdout: bufio.NewReader(stdout), cmd: cmd}
	t.Cleanup(c.Kill)
	if line, err := c.Stdout.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	return c
}

// Wait waits for the end of the child.
func (c *Child) Wait() error { return c.cmd.Wait() }

// Kill kills the child, if it lives, and waits until it is gone.
func (c *Child) Kill() {
	if c.cmd.ProcessState == nil {
		c.cmd.Process.Kill()
		c.cmd.Wait()
		c.Stdin.Close()
	}
}
