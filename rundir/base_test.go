// SPDX-License-Identifier: MIT

package rundir

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhoNamesTheBase(t *testing.T) {
	t.Setenv(Env, "/from/the/environment")
	if got := baseOr(""); got != "/from/the/environment" {
		t.Errorf("base is %s", got)
	}
	if got := baseOr("/from/the/call"); got != "/from/the/call" {
		t.Errorf("base is %s", got)
	}
	t.Setenv(Env, "")
	if got := baseOr(""); got != DefaultBase {
		t.Errorf("base is %s", got)
	}
	if privilegedByExec() {
		t.Error("a test looks like a setuid program")
	}
}

func TestOpenCreatesWhatIsMissing(t *testing.T) {
	h := newHost(t)
	base := h.at("base")
	t.Setenv(Env, base)
	d := h.open("")
	if want := base + "/" + d.Namespace().String(); d.Path() != want {
		t.Errorf("path is %s, want %s", d.Path(), want)
	}
	wantMode(t, base, 0, 0, 0o755)
	wantMode(t, d.Path(), 0, 0, 0o755)
	if again := h.open(base + "/../base/"); again.Path() != d.Path() {
		t.Errorf("path is %s the second time, %s the first", again.Path(), d.Path())
	}
}

// Each case says what is at the base, or on the way to it.
func TestBasesThatAreRefused(t *testing.T) {
	h := newHost(t)
	fifo := h.at("fifo")
	h.must(unix.Mkfifo(fifo, 0o600))
	h.must(os.WriteFile(h.at("file"), nil, 0o600))
	h.mkdir("real/base", 0, 0, 0o755)
	h.must(os.Symlink("real/base", h.at("link")))
	h.must(os.Symlink("real", h.at("way")))
	h.mkdir("theirs", mallory, 0, 0o755)
	h.mkdir("open", 0, 0, 0o777)
	for _, test := range []struct{ name, base, says string }{
		{"relative", "run/msquicxdp", "absolute"},
		{"the root", "//", "directory of its own"},
		{"another user's", h.mkdir("squatted", mallory, 0, 0o755), "belongs to uid 61003"},
		{"everybody's", h.mkdir("777", 0, 0, 0o777), "mode 0777"},
		{"everybody's, sticky", h.mkdir("1777", 0, 0, 0o1777), "mode 1777"},
		{"a file", h.at("file"), "not a directory"},
		{"a pipe", fifo, "not a directory"},
		{"a symbolic link", h.at("link"), "give the real path"},
		{"a link to nothing", h.at("dangling"), "give the real path"},
		{"beyond a link", h.at("way/base"), "give the real path"},
		{"another user's place", h.at("theirs/base"), "put another directory in its place"},
		{"everybody's place", h.at("open/base"), "everybody may write to it (mode 0777)"},
		{"two levels missing", h.at("a/b"), "no such file"},
	} {
		if test.name == "a link to nothing" {
			h.must(os.Symlink("nowhere", test.base))
		}
		d, err := h.tryOpen(test.base)
		if err == nil {
			d.Close()
			t.Errorf("%s: opened", test.name)
			continue
		}
		t.Log(err)
		wantUnavailable(t, err, test.says)
	}
	if _, err := os.Stat(h.at("nowhere")); err == nil {
		t.Error("created through a symbolic link")
	}
}

func TestNamespaceDirectoriesThatAreRefused(t *testing.T) {
	h := newHost(t)
	good := h.open(h.at("good"))
	elsewhere := h.mkdir("elsewhere", 0, 0, 0o755)
	name := good.Namespace().String()
	for _, test := range []struct {
		name, says string
		put        func(path string) error
	}{
		{"a symbolic link", "real path", func(path string) error { return os.Symlink(elsewhere, path) }},
		{"a file", "real path", func(path string) error { return os.WriteFile(path, nil, 0o755) }},
		{"a pipe", "real path", func(path string) error { return unix.Mkfifo(path, 0o755) }},
		{"another user's", "belongs to uid 61003", func(path string) error {
			if err := os.Mkdir(path, 0o755); err != nil {
				return err
			}
			return os.Chown(path, mallory, 0)
		}},
		{"everybody's", "mode 0777", func(path string) error {
			if err := os.Mkdir(path, 0o755); err != nil {
				return err
			}
			return os.Chmod(path, 0o777)
		}},
	} {
		base := h.mkdir("base of "+test.name, 0, 0, 0o755)
		h.must(test.put(base + "/" + name))
		_, err := h.tryOpen(base)
		wantUnavailable(t, err, test.says, base+"/"+name)
	}
	if names, err := os.ReadDir(elsewhere); err != nil || len(names) != 0 {
		t.Errorf("%v, %v behind the symbolic link", names, err)
	}
}

func TestUsersWithoutPrivilege(t *testing.T) {
	h := newHost(t)
	roots := h.at("roots")
	h.open(roots)
	for _, test := range []struct{ name, base, says string }{
		{"root's", roots, "only uid 0 can make claims"},
		{"where root has none", h.at("new"), "permission denied"},
		{"another user's", h.mkdir("bobs", bob, bob, 0o755), "belongs to uid 61002"},
		{"shared by a user", h.mkdir("alices", alice, alice, 0o775), "only root can share"},
	} {
		h.as(alice, func() {
			_, err := Open(test.base)
			wantUnavailable(t, err, test.says)
		})
	}
	own := h.mkdir("own", alice, alice, 0o700)
	h.as(alice, func() {
		d, err := Open(own)
		h.must(err)
		defer d.Close()
		wantMode(t, d.Path(), alice, alice, 0o755)
		f, err := d.OpenFile("udp-1")
		h.must(err)
		defer f.Close()
		wantMode(t, d.Path()+"/udp-1", alice, alice, 0o600)
	})
	_, err := h.tryOpen(own)
	wantUnavailable(t, err, "belongs to uid 61001, and this process runs as uid 0")
}

// Root shares a base with a group. Nobody's umask may matter.
func TestDirectorySharedWithAGroup(t *testing.T) {
	h := newHost(t)
	defer unix.Umask(unix.Umask(0o077))
	base := h.mkdir("base", 0, staff, 0o2775)
	h.as(alice, func() {
		_, err := Open(base)
		wantUnavailable(t, err, "let root make it")
	}, staff)
	d := h.open(base)
	wantMode(t, d.Path(), 0, staff, 0o2775)

	h.as(alice, func() {
		d, err := Open(base)
		h.must(err)
		defer d.Close()
		f, err := d.OpenFile("udp-1")
		h.must(err)
		defer f.Close()
		wantMode(t, d.Path()+"/udp-1", alice, staff, 0o660)
		h.as(bob, func() { h.wantRefusedLock(base, "udp-1", f) }, staff)
	}, staff)
	h.as(mallory, func() {
		_, err := Open(base)
		wantUnavailable(t, err, "group 61100, and this process is not of it")
		if fd, err := unix.Open(d.Path()+"/udp-1", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			unix.Close(fd)
			t.Error("an outsider can open a lock file")
		}
	})
	wantMode(t, d.Path()+"/udp-1", alice, staff, 0o660)
	h.file(d, "udp-1")
}

// wantRefusedLock locks through f, and looks whether the caller is kept out.
func (h *host) wantRefusedLock(base, name string, f *File) {
	h.Helper()
	d, err := Open(base)
	h.must(err)
	defer d.Close()
	g, err := d.OpenFile(name)
	h.must(err)
	defer g.Close()
	if ok, err := f.TryLock(7, 1); !ok || err != nil {
		h.Errorf("lock: %v, %v", ok, err)
	}
	if ok, err := g.TryLock(7, 1); ok || err != nil {
		h.Errorf("second lock: %v, %v", ok, err)
	}
}

// A directory that root made before it shared the base is shared afterwards.
func TestSharingLater(t *testing.T) {
	h := newHost(t)
	base := h.at("base")
	wantMode(t, h.open(base).Path(), 0, 0, 0o755)
	h.mkdir("base", 0, staff, 0o2775)
	wantMode(t, h.open(base).Path(), 0, staff, 0o2775)
}
