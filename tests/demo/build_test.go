// SPDX-License-Identifier: MIT

package demo

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// programs are built once for all tests, into a folder that TestMain removes.
var programs struct {
	once   sync.Once
	dir    string
	server string
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// sanitizeEnv, "address" or "thread", has the server built with that sanitizer.
const sanitizeEnv = "DEMO_SANITIZE"

// serverProgram builds the server, or skips the test where it cannot be built
// or run: without root, or without the QUIC library.
func serverProgram(t *testing.T) string {
	t.Helper()
	netnstest.Require(t)
	lacking, err := script("demo.sh", "missing")
	if err != nil {
		t.Fatal(err)
	}
	if lacking != "" {
		reason := "'scripts/demo.sh deps' installs what the server needs: " + lacking
		if os.Getenv("REQUIRE_XDP") == "1" {
			t.Fatal("REQUIRE_XDP=1 forbids to skip: " + reason)
		}
		t.Skip(reason)
	}
	programs.once.Do(func() { programs.server, programs.err = build() })
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.server
}

func build() (string, error) {
	var err error
	if programs.dir, err = os.MkdirTemp("", "demo-test-"); err != nil {
		return "", err
	}
	archive := filepath.Join(programs.dir, "libmsquicxdp.a")
	server := filepath.Join(programs.dir, "server")
	var sanitize []string
	if s := os.Getenv(sanitizeEnv); s != "" {
		sanitize = []string{"-s", s}
	}
	if _, err := script("archive.sh", append(sanitize, archive)...); err != nil {
		return "", err
	}
	_, err = script("demo.sh", append(append([]string{"server"}, sanitize...), archive, server)...)
	return server, err
}

// script runs one of scripts/ and returns what it prints on its standard output.
func script(name string, args ...string) (string, error) {
	var stderr strings.Builder
	cmd := exec.Command(filepath.Join("..", "..", "scripts", name), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", errors.Join(err, errors.New(cmd.String()), errors.New(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
