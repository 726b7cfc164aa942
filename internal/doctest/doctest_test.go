// SPDX-License-Identifier: MIT

package doctest

import (
	"os"
	"strings"
	"testing"
)

// recorder is a test that notes whether it fails.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

func TestSays(t *testing.T) {
	text, err := os.ReadFile("../../docs/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n\n")[1] // the first paragraph, of several lines
	Says(t, "PROTOCOL.md", strings.Join(strings.Fields(lines), " "))
	r := &recorder{TB: t}
	if Says(r, "PROTOCOL.md", "nobody would say this"); !r.failed {
		t.Error("the page says what it does not")
	}
	if _, err := read("no such page"); !os.IsNotExist(err) {
		t.Errorf("a page that does not exist: %v", err)
	}
}
