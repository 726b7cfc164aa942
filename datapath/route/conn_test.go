// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Each thread gets the answers of its own namespace, at the same time.
func TestThreadsInDifferentNamespaces(t *testing.T) {
	netnstest.CheckFDs(t)
	prefixes := []string{"10.0.0.1/24", "10.0.1.1/24", "10.0.2.1/24", "10.0.3.1/24"}
	spaces := make([]host, len(prefixes))
	for i, prefix := range prefixes {
		spaces[i].ns = netnstest.New(t)
		spaces[i].a, _ = spaces[i].wire(t, "a", prefix)
		spaces[i].ip(t, "route add default via "+spaces[i].a.Addrs[0].Addr().Next().String())
	}
	var all sync.WaitGroup
	for _, h := range spaces {
		all.Go(func() { h.ns.Do(t, func() error { return h.askManyTimes() }) })
	}
	all.Wait()
}

func (h host) askManyTimes() error {
	own := h.a.Addrs[0].Addr()
	for range 200 {
		src, _, err := LocalAddressFor(netip.MustParseAddr("8.8.8.8"), LookupOptions{})
		if err != nil {
			return err
		}
		gateways, err := Gateways()
		if err != nil {
			return err
		}
		if src != own || len(gateways) != 1 || gateways[0].Addr != own.Next() {
			return errors.New("answers of another namespace")
		}
	}
	return nil
}

func TestNoGoroutineStays(t *testing.T) {
	h := newHost(t)
	h.ns.Do(t, func() error {
		before := runtime.NumGoroutine()
		for range 20 {
			_, err1 := LocalAddresses()
			_, err2 := Gateways() // fails, there is none
			_, _, err3 := LocalAddressFor(netip.MustParseAddr("10.0.0.2"), LookupOptions{})
			_, _, err4 := LocalAddressFor(netip.Addr{}, LookupOptions{}) // fails
			if err1 != nil || err2 == nil || err3 != nil || err4 == nil {
				return errors.Join(err1, err3, errors.New("unexpected answer"))
			}
		}
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines, were %d", after, before)
		}
		return nil
	})
}

func TestUntilWhole(t *testing.T) {
	for _, test := range []struct {
		interrupted, calls int
		want               error
	}{
		{0, 1, nil},
		{3, 4, nil},
		{maxDumps, maxDumps, unix.EAGAIN},
	} {
		calls := 0
		msgs, err := untilWhole(func() ([][]byte, error) {
			if calls++; calls <= test.interrupted {
				return [][]byte{{1}}, nl.ErrDumpInterrupted
			}
			return [][]byte{{1}, {2}}, nil
		})
		if calls != test.calls || !errors.Is(err, test.want) || (err == nil) != (len(msgs) == 2) {
			t.Errorf("interrupted %d times: %d calls, %d messages, %v", test.interrupted, calls, len(msgs), err)
		}
	}
	calls := 0
	if _, err := untilWhole(func() ([][]byte, error) { calls++; return nil, unix.EPERM }); calls != 1 || err != unix.EPERM {
		t.Errorf("another error: %d calls, %v", calls, err)
	}
}

func TestError(t *testing.T) {
	err := &Error{Op: "get route", Args: "10.0.0.1", Err: unix.EHOSTUNREACH, Hint: "look there"}
	const want = "get route(10.0.0.1): no route to host (EHOSTUNREACH, errno 113); look there"
	if err.Error() != want {
		t.Errorf("message %q, want %q", err, want)
	}
	other := &Error{Op: "get route", Err: errNoAnswer}
	if other.Errno() != 0 || !errors.Is(other, errNoAnswer) || strings.Contains(other.Error(), "errno") {
		t.Errorf("errno %d, message %q", other.Errno(), other)
	}
}

func TestHints(t *testing.T) {
	for _, errno := range []error{unix.EMFILE, unix.EAFNOSUPPORT, unix.EPERM, unix.EACCES} {
		if socketHint(errno) == "" {
			t.Errorf("no hint for a socket with %v", errno)
		}
	}
	for _, errno := range []error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL, unix.ENODEV} {
		if lookupHint(errno) == "" {
			t.Errorf("no hint for a lookup with %v", errno)
		}
	}
	if socketHint(unix.EIO) != "" || lookupHint(unix.EIO) != "" {
		t.Error("a hint that is a guess")
	}
}
