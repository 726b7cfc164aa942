// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// sandbox is what a test applies reservations in: a network namespace, a store,
// and for enforcement a cgroup and a BPF file system, all of its own. All it
// does is on one thread, in a mount namespace of its own too. Nothing is ever
// attached at the top of the cgroup hierarchy.
type sandbox struct {
	*Store
	t      *testing.T
	dir    *rundir.Dir
	cgroup string
	bpffs  string
}

// inSandbox runs f in a sandbox.
func inSandbox(t *testing.T, f func(b *sandbox)) {
	t.Helper()
	netnstest.CheckFDs(t)
	home := t.TempDir()
	inNamespaces(t, home, func() {
		b := &sandbox{
			Store:  Open(home + "/fs/lib/reservations"),
			t:      t,
			dir:    openState(t, home+"/fs/run"),
			cgroup: makeCgroup(t, home+"/cgroup"),
			bpffs:  home + "/bpf",
		}
		defer b.dir.Close()
		defer removeCgroup(t, b.cgroup)
		f(b)
	})
}

// inNamespaces runs f on a thread in a network and a mount namespace of its
// own, with a BPF file system at home/bpf, the cgroups at home/cgroup and a
// file system in memory at home/fs.
func inNamespaces(t *testing.T, home string, f func()) {
	t.Helper()
	ns := netnstest.New(t)
	ns.Do(t, func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare(CLONE_NEWNS): %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make the mounts private: %w", err)
		}
		for _, m := range []struct{ name, kind, data string }{
			{"fs", "tmpfs", "mode=755"}, // where fsync costs nothing
			{"bpf", "bpf", ""},
			{"cgroup", "cgroup2", ""},
		} {
			at := filepath.Join(home, m.name)
			if err := os.MkdirAll(at, 0o755); err != nil {
				return err
			}
			if err := unix.Mount("none", at, m.kind, 0, m.data); err != nil {
				return fmt.Errorf("mount %s: %w", m.kind, err)
			}
		}
		f()
		return nil
	})
}

func openState(t *testing.T, base string) *rundir.Dir {
	t.Helper()
	dir, err := rundir.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// makeCgroup makes a cgroup in the hierarchy that is mounted there.
func makeCgroup(t *testing.T, hierarchy string) string {
	t.Helper()
	path, err := os.MkdirTemp(hierarchy, "msquicxdp-test-")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// removeCgroup removes a cgroup whose processes have ended, and what is
// attached to it.
func removeCgroup(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
}

func (b *sandbox) options() ApplyOptions { return ApplyOptions{Cgroup: b.cgroup, BPFFS: b.bpffs} }

func (b *sandbox) enforcer() enforcer { return newEnforcer(b.options()) }

// words tell an actor where to apply: see applyWords.
func (b *sandbox) words() string {
	return strings.Join([]string{b.Path(), filepath.Dir(b.dir.Path()), b.cgroup, b.bpffs}, " ")
}

func (b *sandbox) create(r Reservation) Token {
	b.t.Helper()
	return mustCreate(b.t, b.Store, r)
}

func (b *sandbox) delete(token Token) {
	b.t.Helper()
	if err := b.Store.Delete(token); err != nil {
		b.t.Fatal(err)
	}
}

func (b *sandbox) apply() Applied {
	b.t.Helper()
	a, err := b.Store.Apply(b.dir, b.options())
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// wantExcluded checks the kernel's list of ports that it does not choose.
func (b *sandbox) wantExcluded(want string) {
	b.t.Helper()
	if got := excludedNow(b.t); got != want {
		b.t.Errorf("the kernel does not choose %q, want %q", got, want)
	}
}

func excludedNow(t testing.TB) string {
	t.Helper()
	f, err := os.Open(ephemeralPath)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, ephemeralSize)
	n, err := f.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(buf[:n]), "\n")
}

// writeSysctl is what another program would do.
func writeSysctl(t testing.TB, path, value string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}
