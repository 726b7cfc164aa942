// SPDX-License-Identifier: MIT

package classifier

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// limit bounds the wait for what must happen.
const limit = 10 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(holderEnv) != "" {
		holderMain()
		return
	}
	if os.Getenv(victimEnv) != "" {
		victimMain()
		return
	}
	os.Exit(m.Run())
}

// newClassifier makes one that is on no interface.
func newClassifier(t testing.TB, o Options) *Classifier {
	t.Helper()
	netnstest.Require(t)
	c, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// check fails the test on any of these errors.
func check(t rapid.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// newSocket makes an AF_XDP socket that is bound to no interface.
func newSocket(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// identifier is the nth identifier of a length.
func identifier(length uint8, n int) cibir.ID {
	b := make([]byte, length)
	for i := range b {
		b[len(b)-1-i] = byte(n >> (8 * min(i, 7)))
	}
	id, err := cibir.NewID(b)
	if err != nil {
		panic(err)
	}
	return id
}

func addresses(list ...string) (parsed []netip.Addr) {
	for _, s := range list {
		parsed = append(parsed, netip.MustParseAddr(s))
	}
	return parsed
}
