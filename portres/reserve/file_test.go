// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func TestModes(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	s := newStore(t)
	mustCreate(t, s, exclusive(udp(1, 1)))
	for path, want := range map[string]os.FileMode{
		s.Path():               publicFile,
		filepath.Dir(s.Path()): os.ModeDir | publicFolder,
		s.Path() + ".lock":     privateFile,
	} {
		if st, err := os.Stat(path); err != nil || st.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", path, st.Mode(), err, want)
		}
	}
}

// openToAll makes what t.TempDir made for this user alone passable for others.
func openToAll(t *testing.T, path string) {
	t.Helper()
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, publicFolder); err != nil {
			t.Fatal(err)
		}
	}
}

// asUser runs f as another user without any privilege.
func asUser(t *testing.T, uid int, f func()) {
	t.Helper()
	netnstest.Require(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	groups, err := unix.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(setEffective(0), unix.Setgroups(groups)); err != nil {
			panic(err) // other tests would go on as this user
		}
	}()
	if err := errors.Join(unix.Setgroups(nil), setEffective(uid)); err != nil {
		t.Fatal(err)
	}
	f()
}

// setEffective changes the effective user and group of the calling thread
// alone, which the wrappers would not.
func setEffective(id int) error {
	const keep = ^uintptr(0)
	calls := []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID}
	if id == 0 {
		slices.Reverse(calls)
	}
	for _, call := range calls {
		if _, _, errno := unix.RawSyscall(call, keep, uintptr(id), keep); errno != 0 {
			return errno
		}
	}
	return nil
}

func TestOthersReadAndCannotChange(t *testing.T) {
	s := newStore(t)
	token := mustCreate(t, s, exclusive(udp(1, 1)))
	openToAll(t, s.Path())
	asUser(t, 1000, func() {
		if list, err := s.List(); err != nil || len(list) != 1 {
			t.Errorf("another user reads %v, %v", list, err)
		}
		_, created := s.Create(exclusive(udp(2, 1)))
		for _, err := range []error{created, s.Delete(token), s.DeleteRange(udp(1, 1))} {
			if !errors.Is(err, unix.EACCES) || !strings.Contains(err.Error(), "only root") {
				t.Errorf("a change by another user: %v", err)
			}
		}
	})
	if len(mustList(t, s)) != 1 {
		t.Error("another user changed the store")
	}
}

// TestUntrusted replaces the store, or its directory, by what somebody else
// could have put there.
func TestUntrusted(t *testing.T) {
	netnstest.Require(t)
	for _, test := range []struct {
		name   string
		spoil  func(path string) error
		errno  unix.Errno
		reads  bool // reading is refused as well
		advice string
	}{
		{"written by all", func(p string) error { return os.Chmod(p, 0o666) }, unix.EPERM, true, "chmod go-w"},
		{"another's", func(p string) error { return os.Chown(p, 1000, 0) }, unix.EPERM, true, "chown it to root"},
		{"symbolic link", func(p string) error { return replaceBy(p, func() error { return os.Symlink("/dev/null", p) }) }, unix.ELOOP, true, ""},
		{"FIFO", func(p string) error { return replaceBy(p, func() error { return unix.Mkfifo(p, 0o644) }) }, unix.EINVAL, true, "regular"},
		{"directory", func(p string) error { return replaceBy(p, func() error { return os.Mkdir(p, 0o755) }) }, unix.EINVAL, true, "regular"},
		{"device", func(p string) error {
			return replaceBy(p, func() error { return unix.Mknod(p, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))) })
		}, unix.EINVAL, true, "regular"},
		{"directory written by all", func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) }, unix.EPERM, false, "chmod go-w"},
		{"link in the place of the lock", func(p string) error {
			return replaceBy(p+".lock", func() error { return os.Symlink("/dev/null", p+".lock") })
		}, unix.ELOOP, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t)
			mustCreate(t, s, exclusive(udp(1, 1)))
			if err := test.spoil(s.Path()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.List(); test.reads != (err != nil) || err != nil && !errors.Is(err, test.errno) {
				t.Errorf("reading: %v, want %v: %v", err, test.errno, test.reads)
			}
			_, err := s.Create(exclusive(udp(2, 1)))
			if !errors.Is(err, test.errno) || !strings.Contains(err.Error(), test.advice) {
				t.Errorf("changing: %v, want %v and %q", err, test.errno, test.advice)
			}
		})
	}
}

func replaceBy(path string, f func() error) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return f()
}

// TestCorruptStoreStaysAsItIs: a change must not bury what could be rescued.
func TestCorruptStoreStaysAsItIs(t *testing.T) {
	s := newStore(t)
	mustCreate(t, s, exclusive(udp(1, 1)))
	for _, content := range []string{"", "garbage", "msquicxdp-reservations 2\n"} {
		if err := os.WriteFile(s.Path(), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := s.Create(exclusive(udp(2, 1)))
		if err == nil || !strings.Contains(err.Error(), s.Path()) {
			t.Errorf("%q: %v", content, err)
		}
		if after, err := os.ReadFile(s.Path()); err != nil || string(after) != content {
			t.Errorf("%q became %q, %v", content, after, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	netnstest.CheckFDs(t)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, errno := range map[string]unix.Errno{
		dir + "/none/none/reservations": unix.ENOENT,
		dir + "/file/reservations":      unix.ENOTDIR,
		"/proc/reservations":            unix.ENOENT, // no file can be made there
	} {
		if _, err := Open(path).Create(exclusive(udp(1, 1))); !errors.Is(err, errno) {
			t.Errorf("%s: %v, want %v", path, err, errno)
		}
	}
}

// actCreate makes a reservation, watched.
func actCreate(path string) error {
	if err := stopAtCalls(); err != nil {
		return err
	}
	_, err := Open(path).Create(exclusive(udp(2, 1)))
	return err
}

// TestKilledAtEveryCall kills a process before each of its system calls.
func TestKilledAtEveryCall(t *testing.T) {
	s := newStore(t)
	for _, first := range []bool{true, false} {
		prepare := func() {
			os.RemoveAll(filepath.Dir(s.Path()))
			if !first {
				mustCreate(t, s, exclusive(udp(1, 1)))
			}
		}
		all := atEveryCall(t, "create", s.Path(), prepare, func(after []int32) {
			checkOldOrNew(t, s, first, slices.Contains(after, unix.SYS_RENAMEAT))
		})
		// A power failure must find the content on disk before the name, and
		// the change there when Create has returned.
		if !inOrder(all, unix.SYS_WRITE, unix.SYS_FSYNC, unix.SYS_RENAMEAT, unix.SYS_FSYNC) {
			t.Errorf("calls %v", all)
		}
	}
}

// checkOldOrNew checks that a store is as it was or as it should become, and
// that the next one can change it.
func checkOldOrNew(t *testing.T, s *Store, first, renamed bool) {
	t.Helper()
	var old []Range
	if !first {
		old = []Range{udp(1, 1)}
	}
	got := rangesOf(mustList(t, s))
	if renamed && !slices.Equal(got, append(old, udp(2, 1))) || !renamed && !slices.Equal(got, old) {
		t.Fatalf("the store has %v, renamed %v", got, renamed)
	}
	mustCreate(t, s, exclusive(udp(3, 1)))
}

func rangesOf(list []Reservation) []Range {
	var all []Range
	for _, r := range list {
		all = append(all, r.Range)
	}
	return all
}
