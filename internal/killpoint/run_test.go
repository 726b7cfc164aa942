// SPDX-License-Identifier: MIT

package killpoint

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childEnv makes the test program play a child: it names a directory.
const childEnv = "KILLPOINT_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		childMain(dir)
		return
	}
	os.Exit(m.Run())
}

// childMain replaces a file, and then counts to 3 in memory that it shares.
func childMain(dir string) {
	runtime.LockOSThread()
	shared, err := mapFile(dir)
	if err != nil {
		os.Exit(1)
	}
	Begin()
	done := make(chan error)
	go func() { done <- os.WriteFile(filepath.Join(dir, "new"), []byte("whole"), 0o600) }() // by another thread
	err = <-done
	if err == nil {
		err = os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "file"))
	}
	End()
	Watch()
	for range 3 {
		atomic.AddUint64(shared, 1)
	}
	Unwatch()
	atomic.AddUint64(shared, 1)
	if err != nil {
		os.Exit(1)
	}
}

func mapFile(dir string) (*uint64, error) {
	f, err := os.OpenFile(filepath.Join(dir, "shared"), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	// Safety: the mapping is page-aligned, and stays.
	return (*uint64)(unsafe.Pointer(&b[0])), nil
}

func TestEveryPoint(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("traces processes: needs root")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	var shared *uint64
	var last uint64
	var places []string
	Each(t, 1, func(n int) (Outcome, error) {
		os.Remove(file)
		if err := os.WriteFile(filepath.Join(dir, "shared"), make([]byte, 8), 0o600); err != nil {
			return Outcome{}, err
		}
		var err error
		if shared, err = mapFile(dir); err != nil {
			return Outcome{}, err
		}
		last = 0
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		return Run(cmd, n, func() bool {
			now := atomic.LoadUint64(shared)
			changed := now != last
			last = now
			return changed
		})
	}, func(o Outcome) {
		places = append(places, o.Where)
		text, err := os.ReadFile(file)
		renamed := err == nil && string(text) == "whole"
		count := atomic.LoadUint64(shared)
		switch o.Where {
		case "": // not killed
			if !renamed || count != 4 {
				t.Errorf("file %q %v, count %d", text, err, count)
			}
		case "after a change":
			if !renamed || count == 0 || count == 4 {
				t.Errorf("file %q %v, count %d", text, err, count)
			}
		case "after renameat":
			if !renamed || count != 0 {
				t.Errorf("file %q %v, count %d", text, err, count)
			}
		default:
			if err == nil && !renamed || count != 0 {
				t.Errorf("file %q, count %d", text, count)
			}
		}
	})
	all := strings.Join(places, "\n")
	for _, want := range []string{"before ", "after a change"} {
		if !strings.Contains(all, want) {
			t.Errorf("never killed %s:\n%s", want, all)
		}
	}
}
