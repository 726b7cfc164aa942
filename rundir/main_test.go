// SPDX-License-Identifier: MIT

package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

// Users and a group that need not exist.
const (
	alice, bob, mallory = 61001, 61002, 61003
	staff               = 61100
)

// host is a network namespace of its own, and a place for base directories
// that every user can reach.
type host struct {
	*testing.T
	ns  *netnstest.NS
	dir string // of root
}

// newHost also checks that the test leaks no descriptor.
func newHost(t *testing.T) *host {
	t.Helper()
	netnstest.CheckFDs(t)
	return &host{t, netnstest.New(t), rundirtest.TempDir(t)}
}

func (h *host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// at is a path below h.dir.
func (h *host) at(name string) string { return filepath.Join(h.dir, name) }

// mkdir makes a directory below h.dir, and returns its path.
func (h *host) mkdir(name string, uid, gid int, mode uint32) string {
	h.Helper()
	path := h.at(name)
	h.must(os.MkdirAll(path, 0o755))
	h.must(os.Chown(path, uid, gid))
	h.must(unix.Chmod(path, mode))
	return path
}

// as runs f in h's namespace as another user.
func (h *host) as(uid int, f func(), groups ...int) {
	h.Helper()
	rundirtest.As(h, h.ns, uid, groups, f)
}

// tryOpen opens the state directory of h's namespace, as root.
func (h *host) tryOpen(base string) (d *Dir, err error) {
	h.Helper()
	h.ns.Do(h, func() error {
		d, err = Open(base)
		return nil
	})
	return d, err
}

// open is tryOpen until the test ends.
func (h *host) open(base string) *Dir {
	h.Helper()
	d, err := h.tryOpen(base)
	h.must(err)
	h.Cleanup(d.Close)
	return d
}

// file opens a file until the test ends.
func (h *host) file(d *Dir, name string) *File {
	h.Helper()
	f, err := d.OpenFile(name)
	h.must(err)
	h.Cleanup(func() { f.Close() })
	return f
}

// wantUnavailable fails unless err is an UnavailableError that says all of these.
func wantUnavailable(t testing.TB, err error, says ...string) {
	t.Helper()
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) {
		t.Errorf("error %v (%T), want an UnavailableError", err, err)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

// wantMode fails unless a path has this owner, group and mode.
func wantMode(t testing.TB, path string, uid, gid, mode uint32) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid != uid || st.Gid != gid || st.Mode&0o7777 != mode {
		t.Errorf("%s: uid %d, gid %d, mode %04o; want %d, %d, %04o", path, st.Uid, st.Gid, st.Mode&0o7777, uid, gid, mode)
	}
}
