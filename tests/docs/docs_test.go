// SPDX-License-Identifier: MIT

// Package docs checks that the documents say what is so.
package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func documents(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents in docs/: %v", err)
	}
	texts := map[string]string{}
	for _, f := range append(files, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[f] = string(text)
	}
	return texts
}

var link = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	for file, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := m[1]
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", file, target)
			}
		}
	}
}

var block = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// The commands that run this very test, or take minutes: CI runs them itself.
var ownRuns = []string{"./build.sh test", "./build.sh demo", "./build.sh build", "./build.sh bench", "./build.sh torture", "./build.sh fuzz", "./build.sh deps"}

func TestShellBlocksRun(t *testing.T) {
	for file, text := range documents(t) {
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			script := strings.TrimSpace(m[1])
			if slices.Contains(ownRuns, script) {
				continue
			}
			cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: this block fails: %v\n%s\n%s", file, err, script, out)
			}
		}
	}
}

var testName = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9_]*)`")

// A claim that names its test must name one that exists.
func TestNamedTestsExist(t *testing.T) {
	var sources strings.Builder
	for _, dir := range []string{"capi", "cibir", "cmd", "datapath", "internal", "portres", "rundir", "tests"} {
		filepath.WalkDir(filepath.Join(root, dir), func(path string, _ os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, "_test.go") {
				text, _ := os.ReadFile(path)
				sources.Write(text)
			}
			return nil
		})
	}
	for file, text := range documents(t) {
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(sources.String(), "func "+m[1]+"(") {
				t.Errorf("%s names the test %s, which is not there", file, m[1])
			}
		}
	}
}

var cTestName = regexp.MustCompile("`([a-z]+(?:_[a-z]+)+)`")

// So must one that names a test in C, or its file.
func TestNamedTestsInCExist(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "tests", "c", "*_test.c"))
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sources.WriteString(filepath.Base(f) + "\n" + string(text))
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "RELIABILITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range cTestName.FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(sources.String(), "TEST("+m[1]+")") && !strings.Contains(sources.String(), m[1]+".c\n") {
			t.Errorf("RELIABILITY.md names the test %s, which is not there", m[1])
		}
	}
}

var counter = regexp.MustCompile("`((?:xdp|rx|tx)_[a-z_]+)`")

// A counter that a page names is one of the header.
func TestNamedCountersExist(t *testing.T) {
	header, err := os.ReadFile(filepath.Join(root, "include", "msquicxdp", "msquicxdp.h"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range counter.FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(header), "uint64_t "+m[1]+";") {
			t.Errorf("OPERATIONS.md names the counter %s, which is not there", m[1])
		}
	}
}

var wallClock = regexp.MustCompile(`CLOCK_REALTIME|gettimeofday|\btime\(NULL\)|\.Unix(Nano|Milli|Micro)?\(\)|\.Round\(0\)`)

// RELIABILITY.md says that no wait depends on the time of day: nothing takes it apart from the monotonic clock.
func TestWallClockIsForPeople(t *testing.T) {
	for _, dir := range []string{"capi", "cibir", "datapath", "portres", "rundir", "internal/kerr"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ os.DirEntry, err error) error {
			ext := filepath.Ext(path)
			if err != nil || strings.HasSuffix(path, "_test.go") || ext != ".go" && ext != ".c" && ext != ".h" {
				return err
			}
			text, err := os.ReadFile(path)
			if found := wallClock.Find(text); found != nil {
				t.Errorf("%s uses %s", path, found)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
