// SPDX-License-Identifier: MIT

package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// firsts are who makes the first datapath.
var firsts = []string{"program", "object"}

// copyScenarios runs scenarios of c/copies.c with every kind of object, in both orders.
func copyScenarios(t *testing.T, names ...string) {
	path := program(t, "copies")
	for _, kind := range []string{"exported", "hidden", "stripped"} {
		so := object(t, kind)
		for _, first := range firsts {
			for _, name := range names {
				t.Run(strings.Join([]string{kind, first, name}, "/"), func(t *testing.T) {
					run(t, host{path: path, args: []string{name, first, so}})
				})
			}
		}
	}
}

// Of two copies in a process the one that makes the first datapath is live, and
// the other one's functions are answered by it.
func TestTwoCopies(t *testing.T) {
	netnstest.Require(t)
	copyScenarios(t, "both", "crossed", "forked")
}

// So they are before the other copy has made a datapath.
func TestUnusedCopyForwards(t *testing.T) {
	netnstest.Require(t)
	copyScenarios(t, "borrowed", "hooked")
}

// A copy that is not live can be unloaded.
func TestCopyUnloaded(t *testing.T) {
	netnstest.Require(t)
	run(t, host{path: program(t, "copies"), args: []string{"unloaded", "program", object(t, "hidden")}})
}

// The object may also be linked, as libmsquic.so is.
func TestTwoCopiesLinked(t *testing.T) {
	netnstest.Require(t)
	for _, kind := range []string{"exported", "hidden"} {
		so := object(t, kind)
		path := programOf(t, "copies", so)
		for _, first := range firsts {
			t.Run(kind+"/"+first, func(t *testing.T) {
				for _, name := range []string{"both", "crossed", "borrowed"} {
					run(t, host{path: path, args: []string{name, first, so}})
				}
			})
		}
	}
}

// Copies that make their first datapath at the same moment agree on one.
func TestCopiesRace(t *testing.T) {
	netnstest.Require(t)
	path, so, again := program(t, "copies"), object(t, "hidden"), objectOf(t, "hidden", "-again", needArchive(t))
	runs := 200
	if testing.Short() {
		runs = 20
	}
	for i := range runs {
		name, first := []string{"race", "three"}[i%2], firsts[i/2%2]
		run(t, host{path: path, args: []string{name, first, so, again}})
		if t.Failed() {
			t.Fatalf("in run %d of %d", i, runs)
		}
	}
}

// A copy of another version is refused, with a reason that names both.
func TestOtherVersion(t *testing.T) {
	netnstest.Require(t)
	path, so := program(t, "copies"), objectOf(t, "hidden", "-next", nextVersion(t))
	for _, first := range firsts {
		t.Run(first, func(t *testing.T) {
			run(t, host{path: path, args: []string{"mismatch", first, so}})
		})
	}
}

var patchNumber = regexp.MustCompile(`(#define MSQUICXDP_VERSION_PATCH) (\d+)`)

// nextVersion returns the archive of a copy of this tree whose version is one higher.
func nextVersion(t *testing.T) string {
	return buildOnce(t, "next", func(tree string) error {
		if err := copyTree(tree); err != nil {
			return err
		}
		header := filepath.Join(tree, "include/msquicxdp/msquicxdp.h")
		text, err := os.ReadFile(header)
		if err != nil {
			return err
		}
		patched := patchNumber.ReplaceAll(text, []byte("$1 ${2}1"))
		if string(patched) == string(text) {
			return fmt.Errorf("%s has no MSQUICXDP_VERSION_PATCH", header)
		}
		if err := os.WriteFile(header, patched, 0o644); err != nil {
			return err
		}
		return command(filepath.Join(tree, "scripts/archive.sh"), filepath.Join(tree, "build/libmsquicxdp.a"))
	}) + "/build/libmsquicxdp.a"
}

// copyTree copies the repository without what was built and its history.
func copyTree(to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "build" && name != ".git" {
			if err := command("cp", "-r", filepath.Join(root, name), to); err != nil {
				return err
			}
		}
	}
	return nil
}
