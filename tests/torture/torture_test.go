// SPDX-License-Identifier: MIT

package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// secondsEnv says how long TestTorture is to take, and seedEnv what it does.
const (
	secondsEnv = "TORTURE_SECONDS"
	seedEnv    = "TORTURE_SEED"
)

// TestTorture runs the program. Machines that do other things meanwhile recover more slowly; how fast
// one does that has nothing else to do, ./build.sh torture tells.
func TestTorture(t *testing.T) {
	netnstest.Require(t)
	dir := t.TempDir()
	lacking := script(t, "demo.sh", "missing")
	archive, server, quic := filepath.Join(dir, "libmsquicxdp.a"), filepath.Join(dir, "server"), ""
	script(t, "archive.sh", archive)
	script(t, "torture.sh", "server", archive, server)
	switch {
	case lacking == "":
		quic = filepath.Join(dir, "quic-server")
		script(t, "demo.sh", "server", archive, quic)
	case os.Getenv("REQUIRE_XDP") == "1":
		t.Fatal("REQUIRE_XDP=1 forbids to leave QUIC out: " + lacking)
	}
	program := filepath.Join(dir, "torture")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program, "-server", server, "-quic-server", quic, "-recovery", "5s",
		"-seconds", setting(secondsEnv, "20"), "-seed", setting(seedEnv, "0")).CombinedOutput()
	t.Logf("%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	want := regexp.MustCompile(`^torture ok: seconds=\d+ kills=[1-9]\d* joins=[1-9]\d* packets=[1-9]\d* misrouted=0 frames_missing=0 stuck_ports=0 leaks=0 recovery_p99_ms=[\d.]+$`)
	if err != nil || !want.MatchString(lines[len(lines)-1]) {
		t.Errorf("%v; the last line is to match %v", err, want)
	}
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// script runs one of scripts/ and returns what it prints on its standard output.
func script(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command(filepath.Join("..", "..", "scripts", name), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(errors.Join(fmt.Errorf("%v: %w", cmd, err), errors.New(stderr.String())))
	}
	return strings.TrimSpace(string(out))
}
