// SPDX-License-Identifier: MIT

package portres

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

// Whatever is in the file, claims are granted and refused as without it, and
// what is listed can be printed.
func TestAnyContent(t *testing.T) {
	lie := formatRow(rules.Party{Kind: rules.CIBIR, Process: 1, Program: "init", ID: idOf(9), Encoding: nine, UID: 77})
	for name, put := range map[string]func(path string) error{
		"empty":  func(path string) error { return os.Truncate(path, 0) },
		"huge":   func(path string) error { return os.Truncate(path, 1<<40) },
		"zeroes": func(path string) error { return os.WriteFile(path, make([]byte, Slots*rowSize), 0o600) },
		"lies":   func(path string) error { return os.WriteFile(path, bytes.Repeat(lie, Slots), 0o600) },
		"garbage": func(path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte("\x1b[2J\xff\x00=\n"), 1e5), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.must(h.claim(member(1)).Release())
			for range 2 { // before and during a claim
				h.must(put(h.path()))
				c := h.claim(member(1))
				h.must(put(h.path()))
				h.wantRefused(member(1), rules.IdentifierTaken)
				h.wantRefused(exclusively(rules.Client), rules.HeldShared)
				h.must(h.claim(member(9)).Release())
				h.wantPrintable()
				h.must(c.Release())
				h.wantList()

				c = h.claim(exclusively(rules.Listener))
				h.must(put(h.path()))
				h.wantRefusedErrno(member(1), unix.EADDRINUSE)
				h.wantRefusedErrno(exclusively(rules.Client), unix.EADDRINUSE)
				h.wantPrintable()
				h.must(c.Release())
				h.wantList()
			}
		})
	}
}

// wantPrintable fails unless one claim is listed, of root, without control
// characters; if it is a member's, as the locks say.
func (h *host) wantPrintable() {
	h.Helper()
	held, err := List(h.dir)
	if err != nil || len(held) != 1 {
		h.Fatalf("list %+v, %v", held, err)
	}
	p := held[0].Party
	if p.UID != 0 || !held[0].Exclusive && (p.Kind != rules.CIBIR || p.ID != idOf(1) || p.Encoding != nine) {
		h.Errorf("listed %+v", p)
	}
	if strings.ContainsAny(p.Program, "\x1b\x00\xff\n ") {
		h.Errorf("program %q", p.Program)
	}
}

func (h *host) wantRefusedErrno(spec Spec, want unix.Errno) {
	h.Helper()
	c, err := Acquire(h.dir, spec)
	if err == nil {
		c.Release()
	}
	if !errors.Is(err, want) {
		h.Errorf("error %v, want %v", err, want)
	}
}

// Rows that dead members left do not name the holder.
func TestRowsOfTheDead(t *testing.T) {
	h := newHost(t)
	h.claim(member(2))
	c := h.claim(member(1))
	dead := formatRow(rules.Party{Kind: rules.CIBIR, Process: 1, Program: "dead", ID: idOf(1), Encoding: nine})
	f := h.file()
	for slot := range int64(Slots) {
		if uint32(slot) != c.Slot() { // not even those of the living
			_, err := f.WriteAt(dead, slot*rowSize)
			h.must(err)
		}
	}
	h.wantRefused(member(1), rules.IdentifierTaken, fmt.Sprintf("pid %d", os.Getpid()))
}

// What stands in the place of a lock file is refused and left alone, and hides
// no other claim.
func TestOtherThingsInTheDirectory(t *testing.T) {
	h := newHost(t)
	spec := exclusively(rules.Listener)
	spec.Port = 443
	h.claim(spec)
	secret := h.dir.Path() + "/secret"
	h.must(os.WriteFile(secret, nil, 0o600))
	for name, put := range map[string]func() error{
		"a symbolic link": func() error { return os.Symlink("secret", h.path()) },
		"a hard link":     func() error { return os.Link(secret, h.path()) },
		"a pipe":          func() error { return unix.Mkfifo(h.path(), 0o600) },
		"a device":        func() error { return unix.Mknod(h.path(), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) },
		"a directory":     func() error { return os.Mkdir(h.path(), 0o700) },
		"another user's":  func() error { return errors.Join(os.WriteFile(h.path(), nil, 0o600), os.Chown(h.path(), mallory, 0)) },
		"everybody's":     func() error { return errors.Join(os.WriteFile(h.path(), nil, 0o600), os.Chmod(h.path(), 0o666)) },
	} {
		h.must(put())
		_, err := Acquire(h.dir, exclusively(rules.Listener))
		var unavailable *rundir.UnavailableError
		if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), h.path()) {
			t.Errorf("%s: %v", name, err)
		}
		held, err := List(h.dir)
		if !errors.As(err, &unavailable) || len(held) != 1 || held[0].Port != 443 {
			t.Errorf("%s: list %+v, %v", name, held, err)
		}
		h.must(os.Remove(h.path()))
	}
}

// Another user can neither make claims, nor see them, nor stand in their way.
func TestHostileUser(t *testing.T) {
	h := newHost(t)
	c := h.claim(member(1))
	rundirtest.As(t, h.ns, mallory, nil, func() {
		if d, err := rundir.Open(h.base); err == nil {
			d.Close()
			t.Error("opened root's directory")
		}
		// A read lock on the mode would do to keep exclusive claimants out.
		for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_RDONLY | unix.O_CREAT} {
			if fd, err := unix.Open(h.path(), flags|unix.O_CLOEXEC, 0o666); err == nil {
				unix.Close(fd)
				t.Errorf("opened with flags %#x", flags)
			}
		}
		for _, err := range []error{
			os.WriteFile(h.dir.Path()+"/udp-443", nil, 0o666),
			os.Symlink("udp-4433", h.dir.Path()+"/udp-443"),
			os.Rename(h.path(), h.path()+".old"),
			os.Remove(h.path()),
			os.Rename(h.dir.Path(), h.dir.Path()+".old"),
			os.Mkdir(h.base+"/other", 0o777),
			os.Truncate(h.path(), 0),
			os.Chmod(h.path(), 0o666),
		} {
			if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
				t.Errorf("error %v", err)
			}
		}
	})
	h.wantList("udp 4433 0001")
	h.must(c.Release())
	h.claim(exclusively(rules.Listener))
}

// The text is for people: a claim is good without it.
func TestClaimWithoutText(t *testing.T) {
	h := newHost(t)
	var limit unix.Rlimit
	h.must(unix.Getrlimit(unix.RLIMIT_FSIZE, &limit))
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &limit)
	h.must(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 0, Max: limit.Max}))
	c := h.claim(member(1))
	if err := c.SetTier(rules.Owned); !errors.Is(err, unix.EFBIG) {
		t.Errorf("error %v", err)
	}
	h.wantRefused(member(1), rules.IdentifierTaken)
	h.wantRefused(exclusively(rules.Client), rules.HeldShared)
	h.wantList("udp 4433 0001")
}
