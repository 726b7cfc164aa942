// SPDX-License-Identifier: MIT

package rundir

import (
	"errors"
	"io"
	"math"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFilesThatAreRefused(t *testing.T) {
	h := newHost(t)
	d := h.open(h.at("base"))
	secret := h.at("secret")
	h.must(os.WriteFile(secret, []byte("secret"), 0o600))
	for _, test := range []struct {
		name, says string
		put        func(path string) error
	}{
		{"a symbolic link", "symbolic link", func(path string) error { return os.Symlink(secret, path) }},
		{"a link to nothing", "symbolic link", func(path string) error { return os.Symlink(h.at("nowhere"), path) }},
		{"a hard link", "2 names", func(path string) error { return os.Link(secret, path) }},
		{"a pipe", "no file", func(path string) error { return unix.Mkfifo(path, 0o600) }},
		{"a device", "no file", func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) }},
		{"a directory", "is a directory", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"a socket", "no such device or address", func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) }},
		{"another user's", "belongs to uid 61003", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, mallory, 0))
		}},
		{"one that others can read", "chmod 0600", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o644))
		}},
		{"setuid", "mode 4600", func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), unix.Chmod(path, 0o4600))
		}},
	} {
		h.must(test.put(d.Path() + "/" + test.name))
		f, err := d.OpenFile(test.name)
		if err == nil {
			f.Close()
			t.Errorf("%s: opened", test.name)
			continue
		}
		wantUnavailable(t, err, test.says, d.Path()+"/"+test.name)
	}
	for _, name := range []string{"", ".", "..", ".hidden", "../base", "a/b", "a\x00b"} {
		for _, open := range []func(string) (*File, error){d.OpenFile, d.OpenExisting} {
			_, err := open(name)
			wantUnavailable(t, err, "no name")
		}
	}
	if _, err := os.Stat(h.at("nowhere")); err == nil {
		t.Error("created through a symbolic link")
	}
}

func TestFilesWithAnyContentServe(t *testing.T) {
	h := newHost(t)
	d := h.open(h.at("base"))
	for name, put := range map[string]func(path string) error{
		"empty":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"garbage": func(path string) error { return os.WriteFile(path, []byte("\x00\xff\x1b[2J"), 0o600) },
		"huge": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40))
		},
	} {
		h.must(put(d.Path() + "/" + name))
		if ok, err := h.file(d, name).TryLock(1<<62, 1); !ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	names, err := d.Names()
	if err != nil || len(names) != 3 || names[0] != "empty" {
		t.Errorf("names %v, %v", names, err)
	}
}

func TestOpenExisting(t *testing.T) {
	h := newHost(t)
	d := h.open(h.at("base"))
	if _, err := d.OpenExisting("udp-1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	h.file(d, "udp-1")
	f, err := d.OpenExisting("udp-1")
	h.must(err)
	f.Close()
}

func TestRemovedDirectory(t *testing.T) {
	h := newHost(t)
	d := h.open(h.at("base"))
	h.must(os.Remove(d.Path()))
	_, err := d.OpenFile("udp-1")
	wantUnavailable(t, err, "no such file", d.Path())
}

// Nobody who cannot write a file can take a lock in it.
func TestLocksOfOthers(t *testing.T) {
	h := newHost(t)
	d := h.open(h.at("base"))
	h.file(d, "udp-1")
	h.as(mallory, func() {
		for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR} {
			if fd, err := unix.Open(d.Path()+"/udp-1", flags|unix.O_CLOEXEC, 0); err == nil {
				unix.Close(fd)
				t.Errorf("opened with flags %#x", flags)
			}
		}
		if err := os.Link(d.Path()+"/udp-1", h.at("mine")); err == nil {
			t.Error("made a hard link")
		}
		for _, name := range []string{"udp-1", "udp-2"} {
			if err := os.WriteFile(d.Path()+"/"+name, nil, 0o666); err == nil {
				t.Errorf("wrote %s", name)
			}
		}
		if err := os.Remove(d.Path() + "/udp-1"); err == nil {
			t.Error("removed a lock file")
		}
	})
}

// locker opens one file several times.
func (h *host) locker(n int) []*File {
	h.Helper()
	d := h.open(h.at("base"))
	files := make([]*File, n)
	for i := range files {
		files[i] = h.file(d, "udp-1")
	}
	return files
}

func (h *host) wantLock(what string, ok bool, err error, want bool) {
	h.Helper()
	if err != nil || ok != want {
		h.Errorf("%s: %v, %v; want %v", what, ok, err, want)
	}
}

func TestLocks(t *testing.T) {
	h := newHost(t)
	f := h.locker(3)
	const far = int64(1)<<62 + 5
	lock := func(i int, off, n int64, want bool) {
		t.Helper()
		ok, err := f[i].TryLock(off, n)
		h.wantLock("lock", ok, err, want)
	}
	share := func(i int, off, n int64, want bool) {
		t.Helper()
		ok, err := f[i].TryShare(off, n)
		h.wantLock("share", ok, err, want)
	}
	lock(0, far, 2, true)
	lock(0, far, 2, true) // again
	lock(1, far+1, 1, false)
	share(1, far, 1, false)
	lock(1, far+2, 1, true) // beside it
	share(0, 10, 1, true)
	share(1, 10, 1, true)
	lock(1, 10, 1, false)
	lock(2, 0, 0, false) // everything
	h.must(f[0].Unlock(10, 1))
	lock(1, 10, 1, true) // the only sharer

	h.must(f[0].Unlock(0, 0))
	h.must(f[1].Unlock(0, 0))
	lock(2, 0, 0, true)
	share(0, math.MaxInt64-1, 1, false)
	if err := f[0].Unlock(-1, 1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("unlock at -1: %v", err)
	}
}

func TestHeld(t *testing.T) {
	h := newHost(t)
	f := h.locker(3)
	held := func(i int, off, n int64, exclusive bool, want *Lock) {
		t.Helper()
		got, ok, err := f[i].Held(off, n, exclusive)
		if err != nil || ok != (want != nil) || ok && got != *want {
			t.Errorf("held: %+v, %v, %v; want %+v", got, ok, err, want)
		}
	}
	ok, err := f[0].TryLock(100, 2)
	h.wantLock("lock", ok, err, true)
	ok, err = f[0].TryShare(200, 1)
	h.wantLock("share", ok, err, true)
	held(0, 0, 0, true, nil) // its own
	held(1, 0, 100, true, nil)
	held(1, 0, 101, false, &Lock{100, 2, true})
	held(1, 102, 0, true, &Lock{200, 1, false})
	held(1, 102, 0, false, nil) // can be shared
	ok, err = f[2].TryShare(300, 0)
	h.wantLock("share", ok, err, true)
	held(1, 1000, 1, true, &Lock{300, math.MaxInt64 - 300, false})
}

// A copy of the descriptor keeps the locks, as in a forked child; other
// descriptors of the file have nothing to do with them.
func TestLocksGoWithTheLastCopy(t *testing.T) {
	h := newHost(t)
	f := h.locker(2)
	owner, err := f[0].dir.OpenFile("udp-1")
	h.must(err)
	ok, err := owner.TryLock(1, 1)
	h.wantLock("lock", ok, err, true)
	child, err := unix.FcntlInt(uintptr(owner.fd), unix.F_DUPFD_CLOEXEC, 0)
	h.must(err)
	h.must(owner.Close())
	ok, err = f[1].TryLock(1, 1)
	h.wantLock("lock while a copy is open", ok, err, false)
	h.must(unix.Close(child))
	ok, err = f[1].TryLock(1, 1)
	h.wantLock("lock afterwards", ok, err, true)
	again, err := f[1].dir.OpenFile("udp-1")
	h.must(err)
	h.must(again.Close())
	ok, err = f[0].TryLock(1, 1)
	h.wantLock("lock after the holder closed another", ok, err, false)
}

func TestLockWaits(t *testing.T) {
	h := newHost(t)
	f := h.locker(2)
	h.must(f[0].Lock(1, 1))
	got := make(chan error)
	go func() { got <- f[1].Lock(1, 1) }()
	select {
	case err := <-got:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	h.must(f[0].Unlock(1, 1))
	h.must(<-got)
	ok, err := f[0].TryLock(1, 1)
	h.wantLock("lock", ok, err, false)
}

func TestIsCurrent(t *testing.T) {
	h := newHost(t)
	f := h.locker(1)[0]
	path := f.dir.Path() + "/" + f.Name()
	want := func(what string, want bool) {
		t.Helper()
		ok, err := f.isCurrent()
		h.wantLock(what, ok, err, want)
	}
	want("untouched", true)
	h.must(os.Rename(path, path+".old"))
	want("renamed", false)
	h.must(os.WriteFile(path, nil, 0o600))
	want("replaced", false)
	h.must(os.Remove(path))
	h.must(os.Symlink(path+".old", path))
	want("replaced by a link to it", false)
	h.must(os.Rename(path+".old", path))
	want("back", true)
}

func TestReadAndWrite(t *testing.T) {
	h := newHost(t)
	f := h.locker(1)[0]
	if n, err := f.WriteAt([]byte("hello"), 1000); n != 5 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	buf := make([]byte, 8)
	if n, err := f.ReadAt(buf, 998); n != 7 || err != io.EOF || string(buf[:7]) != "\x00\x00hello" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if n, err := f.ReadAt(buf[:4], 1000); n != 4 || err != nil {
		t.Errorf("read %q, %v", buf[:n], err)
	}
}

// The kernel sends SIGXFSZ, which ends a program that does not expect it.
func TestWriteBeyondTheLimit(t *testing.T) {
	h := newHost(t)
	f := h.locker(1)[0]
	var limit unix.Rlimit
	h.must(unix.Getrlimit(unix.RLIMIT_FSIZE, &limit))
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &limit)
	h.must(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1000, Max: limit.Max}))
	if n, err := f.WriteAt(make([]byte, 10), 990); n != 10 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if n, err := f.WriteAt(make([]byte, 10), 991); n != 0 || !errors.Is(err, unix.EFBIG) {
		t.Errorf("wrote %d, %v", n, err)
	}
}
