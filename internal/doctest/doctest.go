// SPDX-License-Identifier: MIT

// Package doctest holds the pages of docs/ to the code.
package doctest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Says wants a page of docs/ to say words, among whose blanks lines may end.
func Says(t testing.TB, page string, words ...string) {
	t.Helper()
	text, err := read(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("docs/%s does not say %q", page, w)
		}
	}
}

// read returns a page with each line end and run of blanks as one blank. Tests run in the
// folder of their package, somewhere below the one that has docs/.
func read(page string) (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		var text []byte
		text, err = os.ReadFile(filepath.Join(dir, "docs", page))
		if err == nil {
			return strings.Join(strings.Fields(string(text)), " "), nil
		}
		if parent := filepath.Dir(dir); os.IsNotExist(err) && parent != dir {
			dir, err = parent, nil
		}
	}
	return "", err
}
