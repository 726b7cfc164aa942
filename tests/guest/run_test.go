// SPDX-License-Identifier: MIT

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// deadline is how long a scenario may take. It is far away: a guest that hangs,
// hangs for ever.
const deadline = 30 * time.Second

// host is one run of a program.
type host struct {
	path  string
	args  []string
	env   []string            // beside what this process has
	wants syscall.WaitStatus  // how it is to end; zero: with 0
	init  bool                // as process 1 of a pid namespace
	bare  bool                // in the namespaces of this process: needs no privilege
	check func(output string) // what else is to hold
}

func exitCode(code int) syscall.WaitStatus { return syscall.WaitStatus(code << 8) }

func killedBy(signal syscall.Signal) syscall.WaitStatus { return syscall.WaitStatus(signal) }

func describe(s syscall.WaitStatus) string {
	if s.Signaled() {
		return "killed by " + s.Signal().String()
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}

// run runs a host and fails the test unless it ends as it is to end.
func run(t *testing.T, h host) {
	t.Helper()
	output, status := start(t, h)
	if output != "" {
		t.Log(strings.TrimSpace(output))
	}
	// A core dump is the system's choice.
	if got := status &^ 0x80; got != h.wants {
		t.Errorf("%s %s: %s, expected %s", filepath.Base(h.path), strings.Join(h.args, " "),
			describe(got), describe(h.wants))
	}
	if h.check != nil {
		h.check(output)
	}
}

func start(t *testing.T, h host) (string, syscall.WaitStatus) {
	t.Helper()
	if !h.bare {
		netnstest.Require(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.path, h.args...)
	cmd.Env = append(os.Environ(), h.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: h.cloneFlags()}
	cmd.WaitDelay = time.Second
	cmd.Cancel = func() error {
		t.Errorf("%s %s does not end: killed\n%s", filepath.Base(h.path), strings.Join(h.args, " "),
			threads(cmd.Process.Pid))
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("%s: %v\n%s", h.path, err, output.String())
	}
	return output.String(), cmd.ProcessState.Sys().(syscall.WaitStatus)
}

func (h *host) cloneFlags() uintptr {
	switch {
	case h.bare:
		return 0
	case h.init:
		return syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	}
	return syscall.CLONE_NEWNET
}

// threads says what each thread of a process waits for.
func threads(pid int) string {
	var text strings.Builder
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		fmt.Fprintf(&text, "thread %s:", filepath.Base(task))
		for _, name := range []string{"comm", "wchan", "syscall"} {
			content, _ := os.ReadFile(filepath.Join(task, name))
			fmt.Fprintf(&text, " %s %s", name, strings.TrimSpace(string(content)))
		}
		text.WriteString("\n")
	}
	return text.String()
}

// scenarios runs a program once for each argument, as subtests.
func scenarios(t *testing.T, path string, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) { run(t, host{path: path, args: []string{name}}) })
	}
}
