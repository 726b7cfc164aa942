// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres/reserve"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

// Users and a group that need not exist.
const (
	alice, bob = 61001, 61002
	staff      = 61100
)

// limit bounds the wait for what must happen.
const limit = 20 * time.Second

// reservationsEnv names the file of reservations.
const reservationsEnv = "MSQUICXDP_RESERVATIONS"

func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) != "" {
		os.Exit(victimMain())
	}
	if name := os.Getenv(childEnv); name != "" {
		os.Exit(childMain(name))
	}
	// Tests that wait for patience to end need no processor; histories of processes
	// need much of it.
	for name, value := range map[string]string{"test.parallel": "16", "rapid.checks": "6", "rapid.steps": "15"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse() // which may say otherwise
	os.Exit(m.Run())
}

// room is a network namespace of its own with a state directory that belongs to
// root, and without reservations.
type room struct {
	testing.TB
	ns   *netnstest.NS
	base string
	env  []string // of the processes in it
}

// newRoom is for tests in which other processes do what matters. They run beside
// each other.
func newRoom(t *testing.T) *room {
	t.Helper()
	t.Parallel()
	return emptyRoom(t)
}

// enterRoom is for tests in which this process does it. The test must leak no
// descriptor.
func enterRoom(t testing.TB) *room {
	t.Helper()
	netnstest.CheckFDs(t)
	r := emptyRoom(t)
	for _, assignment := range r.env {
		name, value, _ := strings.Cut(assignment, "=")
		t.Setenv(name, value)
	}
	return r
}

func emptyRoom(t testing.TB) *room {
	t.Helper()
	r := &room{TB: t, ns: netnstest.New(t), base: filepath.Join(rundirtest.TempDir(t), "state")}
	r.env = []string{rundir.Env + "=" + r.base, reservationsEnv + "=" + r.base + ".reservations"}
	return r
}

func (r *room) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// shareDirectory lets a group make claims, too.
func (r *room) shareDirectory() {
	r.Helper()
	r.must(errors.Join(os.Mkdir(r.base, 0o755), os.Chown(r.base, 0, staff), unix.Chmod(r.base, 0o2775)))
	r.dir()
}

// reserveShared reserves the port for sharing.
func (r *room) reserveShared(uids, gids []uint32) {
	r.Helper()
	_, err := reserve.Open(r.base + ".reservations").Create(reserve.Reservation{
		Range: reserve.Range{Proto: rules.UDP, Start: number, Count: 1}, Encoding: nine, UIDs: uids, GIDs: gids,
	})
	r.must(err)
}

// dir opens the state directory until the test ends.
func (r *room) dir() (dir *rundir.Dir) {
	r.Helper()
	r.ns.Do(r, func() (err error) {
		dir, err = rundir.Open(r.base)
		return err
	})
	r.Cleanup(dir.Close)
	return dir
}

// sockets returns the names of all sockets in the state directory, those of dead
// processes too.
func (r *room) sockets() (names []string) {
	r.Helper()
	all, err := r.dir().Names()
	r.must(err)
	for _, name := range all {
		if strings.Contains(name, ".") {
			names = append(names, name)
		}
	}
	return names
}

// number is the port that most tests are about.
const number = 4433

var nine = cibir.Encoding{Length: 2, SourceOffset: 9, DestinationOffset: 9}

func idOf(n int) cibir.ID {
	id, err := cibir.NewID([]byte{byte(n >> 8), byte(n)})
	if err != nil {
		panic(err)
	}
	return id
}

// newSocket makes what MsQuic's listeners have.
func newSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	return fd, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
}

// member asks for the port as a CIBIR listener; the identifier 0 is none.
func member(id int) Request {
	r := Request{Proto: rules.UDP, Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), number), Sockets: 2, New: newSocket}
	if id != 0 {
		r.ID, r.Encoding = idOf(id), nine
	}
	return r
}

// until repeats a question that has no event.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

func wantWords(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, s := range words {
		if !strings.Contains(text, s) {
			t.Errorf("%q does not say %q", text, s)
		}
	}
}
