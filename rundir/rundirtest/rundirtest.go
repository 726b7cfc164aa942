// SPDX-License-Identifier: MIT

// Package rundirtest brings what tests of state directories need: a place that
// every user can reach, and other users.
package rundirtest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// TempDir is t.TempDir, but other users can come into it.
func TempDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// As runs f inside ns as another user, who need not exist and is of no group
// but these and the one of its own number. f runs on a thread that ends
// afterwards; goroutines that it starts run as before.
func As(t testing.TB, ns *netnstest.NS, uid int, groups []int, f func()) {
	t.Helper()
	ns.Do(t, func() error {
		if err := become(uid, groups); err != nil {
			return err
		}
		f()
		return nil
	})
}

// become changes this thread only, where package syscall would change them all.
func become(uid int, groups []int) error {
	list := make([]uint32, len(groups)+1) // one more: it must have an address
	for i, gid := range groups {
		list[i] = uint32(gid)
	}
	// Safety: list lives until the call returns, which reads len(groups) of it.
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&list[0])), 0)
	for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		if errno == 0 {
			_, _, errno = unix.RawSyscall(call, uintptr(uid), uintptr(uid), uintptr(uid))
		}
	}
	if errno != 0 {
		return fmt.Errorf("become user %d: %w", uid, errno)
	}
	return nil
}
