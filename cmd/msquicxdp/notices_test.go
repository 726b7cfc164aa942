// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func TestNotices(t *testing.T) {
	netnstest.CheckFDs(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "udp-4433")
	n, err := noticesOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.wait(time.Millisecond); err != nil {
		t.Errorf("when nothing happens: %v", err)
	}
	for what, do := range map[string]func() error{
		"write":  func() error { return os.WriteFile(path, []byte("x"), 0o600) },
		"remove": func() error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Remove(path)) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := n.wait(time.Hour); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s was not noticed", what)
		}
	}
	time.AfterFunc(time.Millisecond, func() { n.Close() })
	if err := n.wait(time.Hour); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// Two who watch must not wake each other for ever: to look leaves nothing to
// notice.
func TestToLookIsNotNoticed(t *testing.T) {
	h := newTestHost(t)
	h.hold(listener(443), shard("0a0b"))
	dirs, err := filepath.Glob(filepath.Join(h.base, "*"))
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	n, err := noticesOf(dirs[0])
	h.must(err)
	defer n.Close()
	h.wantDone(h.ports("list"))
	raw, err := n.SyscallConn()
	h.must(err)
	h.must(raw.Control(func(fd uintptr) {
		if count, err := unix.Read(int(fd), make([]byte, 4096)); err != unix.EAGAIN {
			t.Errorf("%d bytes of notices, %v", count, err)
		}
	}))
}

func TestNoticesOfWhatIsNotThere(t *testing.T) {
	netnstest.CheckFDs(t)
	_, err := noticesOf(filepath.Join(t.TempDir(), "absent"))
	if !errors.Is(err, unix.ENOENT) {
		t.Error(err)
	}
}
