// SPDX-License-Identifier: MIT

package reserve

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const unitPath = "../../packaging/msquicxdp-ports.service"

func TestUnit(t *testing.T) {
	text, err := os.ReadFile(unitPath)
	if err != nil {
		t.Fatal(err)
	}
	unit := string(text)
	for _, line := range []string{
		"ConditionPathExists=" + DefaultPath,
		"RequiresMountsFor=" + filepath.Dir(DefaultPath) + " /run",
		"ExecStart=/usr/bin/msquicxdp ports apply",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("the unit has no line %q", line)
		}
	}
	verifyUnit(t, unit)
}

// verifyUnit has systemd look at the unit where it is installed. The command
// need not be, so another one takes its place.
func verifyUnit(t *testing.T, unit string) {
	t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("not verified: there is no systemd-analyze")
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), filepath.Base(unitPath))
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(unit, "/usr/bin/msquicxdp", self)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(out), filepath.Base(unitPath)) { // other lines are of other units
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
