// SPDX-License-Identifier: MIT

package inspect

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	before := time.Now()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if err := os.WriteFile("/proc/self/comm", []byte("a) (b) R 1"), 0); err != nil {
		t.Fatal(err)
	}
	// The kernel knows the start to a hundredth of a second, and when it booted to a second.
	if _, started := process(cmd.Process.Pid); started.Before(before.Add(-3*time.Second)) || started.After(time.Now().Add(3*time.Second)) {
		t.Errorf("started at %v, and it was %v", started, before)
	}
	if program, _ := process(os.Getpid()); program != "a) (b) R 1" {
		t.Errorf("%q", program)
	}
	for _, pid := range []int{0, -1, 1 << 30} {
		if program, started := process(pid); program != "" || !started.IsZero() {
			t.Errorf("%d: %q, %v", pid, program, started)
		}
	}
}
