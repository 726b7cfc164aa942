// SPDX-License-Identifier: MIT

package netnstest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const fdDir = "/proc/self/fd"

// OpenFDs returns the open file descriptors of the process and what each of
// them refers to, as in "socket:[1234]".
func OpenFDs() (map[int]string, error) {
	entries, err := os.ReadDir(fdDir)
	if err != nil {
		return nil, err
	}
	open := make(map[int]string, len(entries))
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fdDir, err)
		}
		target, err := os.Readlink(fdDir + "/" + entry.Name())
		if err != nil {
			continue // the descriptor of the directory itself, closed by now
		}
		open[fd] = target
	}
	return open, nil
}

// CheckFDs fails the test if more file descriptors are open at its end than
// now. Call it first: clean-up runs in reverse order, and it must see what the
// others left. It counts for the whole process, so it does not suit parallel
// tests.
func CheckFDs(t testing.TB) {
	t.Helper()
	if err := StartPoller(); err != nil {
		t.Fatal(err)
	}
	before, err := OpenFDs()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		after, err := OpenFDs()
		if err != nil {
			t.Fatal(err)
		}
		if len(after) > len(before) {
			t.Errorf("%d file descriptors open, were %d: leaked %s", len(after), len(before), difference(before, after))
		}
	})
}

// StartPoller makes the Go runtime open its epoll and event descriptors, which
// it does once and for ever, so that no test is blamed for them. Later it would end
// a process that has no descriptor left.
func StartPoller() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	r.Close()
	w.Close()
	return nil
}

// difference lists the descriptors that are new or refer to something else.
func difference(before, after map[int]string) string {
	var list []string
	for _, fd := range slices.Sorted(maps.Keys(after)) {
		if before[fd] != after[fd] {
			list = append(list, fmt.Sprintf("%d (%s)", fd, after[fd]))
		}
	}
	return strings.Join(list, ", ")
}
