// SPDX-License-Identifier: MIT

package guest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

var (
	testName     = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]*`)
	testFunction = regexp.MustCompile(`(?m)^func (Test[A-Z][A-Za-z0-9]*)\(t \*testing\.T\)`)
)

// What docs/HOST.md promises it proves by tests that exist, and there is no test
// here for something that it does not mention.
func TestDocument(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(root, "docs/HOST.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := testName.FindAllString(string(document), -1)
	var defined []string
	files, _ := filepath.Glob("*_test.go")
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range testFunction.FindAllSubmatch(source, -1) {
			defined = append(defined, string(match[1]))
		}
	}
	for _, name := range named {
		if !slices.Contains(defined, name) {
			t.Errorf("docs/HOST.md names %s, which does not exist", name)
		}
	}
	for _, name := range defined {
		if !slices.Contains(named, name) {
			t.Errorf("docs/HOST.md does not mention %s", name)
		}
	}
}
