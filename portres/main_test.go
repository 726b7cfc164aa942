// SPDX-License-Identifier: MIT

package portres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

// TestMain runs a child where the environment names one; see child_test.go.
func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		runChild(name)
	}
	os.Exit(m.Run())
}

// Users and a group that need not exist.
const (
	alice, bob, mallory = 61001, 61002, 61003
	staff               = 61100
)

// host is a network namespace of its own with a state directory, which belongs
// to root.
type host struct {
	testing.TB
	ns   *netnstest.NS
	base string
	dir  *rundir.Dir
}

// newHost also checks that the test leaks no descriptor.
func newHost(t testing.TB) *host {
	t.Helper()
	netnstest.CheckFDs(t)
	h := &host{TB: t, ns: netnstest.New(t), base: filepath.Join(rundirtest.TempDir(t), "base")}
	h.dir = h.open(h.ns)
	return h
}

// newSharedHost is newHost, but root shares the directory with a group.
func newSharedHost(t testing.TB) *host {
	t.Helper()
	h := newHost(t)
	h.base = rundirtest.TempDir(t)
	h.must(os.Chown(h.base, 0, staff))
	h.must(unix.Chmod(h.base, 0o2775))
	h.dir = h.open(h.ns)
	return h
}

// open opens the state directory of a namespace until the test ends.
func (h *host) open(ns *netnstest.NS) (dir *rundir.Dir) {
	h.Helper()
	ns.Do(h, func() (err error) {
		dir, err = rundir.Open(h.base)
		return err
	})
	h.Cleanup(dir.Close)
	return dir
}

func (h *host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// path is that of the file of UDP port 4433, which the specs below are about.
func (h *host) path() string { return h.dir.Path() + "/udp-4433" }

// file opens the file of UDP port 4433 once more, until the test ends.
func (h *host) file() portFile {
	h.Helper()
	f, err := h.dir.OpenFile("udp-4433")
	h.must(err)
	h.Cleanup(func() { f.Close() })
	return portFile{f}
}

var nine = cibir.Encoding{Length: 2, SourceOffset: 9, DestinationOffset: 9}

func exclusively(kind rules.Kind) Spec {
	return Spec{Proto: rules.UDP, Port: 4433, Party: rules.Party{Kind: kind}}
}

// member is a CIBIR listener with steering. The identifier has two bytes.
func member(id int) Spec {
	return Spec{Proto: rules.UDP, Port: 4433,
		Party: rules.Party{Kind: rules.CIBIR, ID: idOf(id), Encoding: nine, Steering: true}}
}

func idOf(n int) cibir.ID {
	id, err := cibir.NewID([]byte{byte(n >> 8), byte(n)})
	if err != nil {
		panic(err)
	}
	return id
}

// claim makes a claim until the test ends.
func (h *host) claim(spec Spec) *Claim {
	h.Helper()
	c, err := Acquire(h.dir, spec)
	h.must(err)
	h.Cleanup(func() {
		if err := c.Release(); err != nil {
			h.Error(err)
		}
	})
	return c
}

// wantRefused fails unless a claim is refused for a reason, in these words.
func (h *host) wantRefused(spec Spec, reason rules.Reason, says ...string) {
	h.Helper()
	c, err := Acquire(h.dir, spec)
	wantRefusal(h, c, err, reason, says...)
}

func wantRefusal(t testing.TB, c *Claim, err error, reason rules.Reason, says ...string) {
	t.Helper()
	if err == nil {
		c.Release()
		t.Errorf("granted: %s", c.Decision().Sentence())
		return
	}
	var refused *Refused
	if !errors.As(err, &refused) || refused.Decision.Reason != reason {
		t.Errorf("error %v (%T), want the refusal %v", err, err, reason)
		return
	}
	wantWords(t, err.Error(), says...)
}

func wantWords(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, s := range words {
		if !strings.Contains(text, s) {
			t.Errorf("%q does not say %q", text, s)
		}
	}
}

// list returns the claims as words: "udp 4433 0a0b" for members of a shared
// port, "udp 4433 listener" for others.
func (h *host) list() (words []string) {
	h.Helper()
	held, err := List(h.dir)
	h.must(err)
	for _, c := range held {
		who := c.Party.ID.String()
		if c.Exclusive {
			who = c.Party.Kind.String()
		}
		words = append(words, fmt.Sprintf("%v %d %s", c.Proto, c.Port, who))
	}
	return words
}

// wantList fails unless exactly these claims are held.
func (h *host) wantList(want ...string) {
	h.Helper()
	if got := h.list(); strings.Join(got, ", ") != strings.Join(want, ", ") {
		h.Errorf("held: %q, want %q", got, want)
	}
}

// fork forks this process without exec, as C programs do. The child does
// nothing but hold copies of the descriptors, until it can read something from
// until, or that is at its end. Without such a descriptor, -1, it lives until it
// is killed, at the latest with the calling thread.
//
//go:norace
//go:nosplit
func fork(until int) (pid int, err error) {
	child, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if child != 0 {
		return int(child), nil
	}
	if until < 0 {
		syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
		for {
			syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
		}
	}
	syscall.RawSyscall6(unix.SYS_READ, uintptr(until), uintptr(unsafe.Pointer(&forkBuffer)), 1, 0, 0, 0)
	for {
		syscall.RawSyscall6(unix.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0)
	}
}

var forkBuffer [1]byte

// kill kills a child and waits for its end.
func kill(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return err
	}
	for {
		_, err := unix.Wait4(pid, nil, 0, nil)
		if err != unix.EINTR {
			return err
		}
	}
}
