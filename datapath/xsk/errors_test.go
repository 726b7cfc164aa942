// SPDX-License-Identifier: MIT

package xsk

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// wantError checks the kind of an error, its errno and what its text says.
func wantError(t *testing.T, what string, err, kind error, errno unix.Errno, text string) {
	t.Helper()
	var unsupported *UnsupportedError
	switch {
	case err == nil:
		t.Errorf("%s: no error", what)
	case kind == nil && !errors.As(err, &unsupported):
		t.Errorf("%s: %v: is no UnsupportedError", what, err)
	case kind != nil && !errors.Is(err, kind):
		t.Errorf("%s: %v: is not %q", what, err, kind)
	case errno != 0 && !errors.Is(err, errno):
		t.Errorf("%s: %v: has not errno %d", what, err, errno)
	case !strings.Contains(err.Error(), text):
		t.Errorf("%s: %v: does not say %q", what, err, text)
	}
}

func TestRefusedQueues(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *wire) {
		q := create(t, &w.right, newUMEM(t))
		idle := testConfig(&w.left)
		try := func(end *netnstest.End, f func() (*Socket, error)) (err error) {
			end.NS.Do(t, func() error {
				var s *Socket
				if s, err = f(); err == nil {
					s.Close()
				}
				return nil
			})
			return err
		}
		createWith := func(end *netnstest.End, mode Mode, c Config) error {
			return try(end, func() (*Socket, error) { return Create(newUMEM(t), mode, c) })
		}
		joinWith := func(donor int, c Config) error {
			return try(&w.right, func() (*Socket, error) { return Join(donor, c) })
		}

		busy := testConfig(&w.right)
		busy.Patience = 20 * time.Millisecond
		wantError(t, "second UMEM", createWith(&w.right, ModeCopy, busy), ErrBusy, unix.EBUSY, fmt.Sprintf("interface %d queue 0", w.right.Index))
		wantError(t, "zero-copy on veth", createWith(&w.left, ModeZeroCopy, idle), nil, unix.EOPNOTSUPP, "zero-copy")

		c := idle
		c.Queue = 7
		wantError(t, "queue 7 of 1", createWith(&w.left, ModeAny, c), ErrNoQueue, unix.EINVAL, "queue 7")
		c = idle
		c.Interface = 4711
		wantError(t, "no such interface", createWith(&w.left, ModeAny, c), ErrNoQueue, unix.ENODEV, "interface 4711")
		c = idle
		c.TXBudget = 8
		wantError(t, "budget below 32", createWith(&w.left, ModeAny, c), unix.EACCES, 0, "at least 32")

		joined := testConfig(&w.right)
		c = joined
		c.Queue = 1
		wantError(t, "join another queue", joinWith(q.FD(), c), ErrNoQueue, unix.EINVAL, "")
		c = joined
		c.Fill *= 2
		wantError(t, "join with a larger FILL", joinWith(q.FD(), c), unix.EINVAL, 0, "another size")
		wantError(t, "join nothing", joinWith(-1, joined), unix.ENOTSOCK, 0, "the donor")
		udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(udp)
		wantError(t, "join a UDP socket", joinWith(udp, joined), unix.ENOPROTOOPT, 0, "the donor")
		if _, err := ViewRX(udp, ringSize); err == nil || !strings.Contains(err.Error(), "AF_XDP") {
			t.Errorf("view of a UDP socket: %v", err)
		}
		if _, err := ViewRX(q.FD(), 8*ringSize); !errors.Is(err, unix.EINVAL) {
			t.Errorf("view of a larger ring: %v", err)
		}
		// The queue is as good as before.
		w.serve(t, 0, q.Socket)
		send(t, raw(t, &w.left), packet(0, 1, 64))
		q.receive(t, 1)
	})
}

func TestConfigThatCannotBe(t *testing.T) {
	good := Config{RX: 64, TX: 64, Fill: 64, Completion: 64}
	for _, test := range []struct {
		change func(*Config)
		text   string
	}{
		{func(c *Config) { c.RX, c.TX = 0, 0 }, "an RX or a TX ring"},
		{func(c *Config) { c.RX = 63 }, "RX ring of 63 entries"},
		{func(c *Config) { c.TX = 2 * maxEntries }, "TX ring"},
		{func(c *Config) { c.Fill = 0 }, "FILL ring of 0 entries"},
		{func(c *Config) { c.Completion = 3 }, "COMPLETION ring of 3 entries"},
	} {
		c := good
		test.change(&c)
		if _, err := Join(-1, c); err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, umem := range []UMEM{
		{}, {Memory: make([]byte, 4096)}, {Memory: make([]byte, 4096), Chunk: 3000},
		{Memory: make([]byte, 5000), Chunk: 2048}, {Memory: make([]byte, 1000), Chunk: 2048},
	} {
		if _, err := Create(&umem, ModeAny, good); err == nil || !strings.Contains(err.Error(), "whole chunks") {
			t.Errorf("%v: %v", &umem, err)
		}
	}
	umem := UMEM{Memory: make([]byte, 4096), Chunk: 2048}
	if _, err := Create(&umem, 9, good); err == nil || !strings.Contains(err.Error(), "mode") {
		t.Errorf("mode 9: %v", err)
	}
}

func TestRefusedUMEM(t *testing.T) {
	w := newWire(t, attachModes[0].mode)
	memory := newUMEM(t).Memory
	for _, test := range []struct {
		umem UMEM
		text string
	}{
		{UMEM{Memory: memory[8 : 8+4096], Chunk: 2048}, "page-aligned"},
		{UMEM{Memory: memory, Chunk: 1024}, "chunks of 2048"},
		{UMEM{Memory: memory, Chunk: 2048, Headroom: 2048 - Headroom}, "headroom"},
		{UMEM{Memory: memory[8 : 8+4096], Chunk: 2048, Metadata: true}, "page-aligned"},
	} {
		w.right.NS.Do(t, func() error {
			_, err := Create(&test.umem, ModeAny, testConfig(&w.right))
			wantError(t, test.umem.String(), err, unix.EINVAL, 0, test.text)
			return nil
		})
	}
}

// withoutCapability runs f on a thread that has all capabilities but one.
func withoutCapability(t *testing.T, capability int, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		data[capability/32].Effective &^= 1 << (capability % 32)
		if err := unix.Capset(&header, &data[0]); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestWithoutPermission(t *testing.T) {
	netnstest.Require(t)
	netnstest.CheckFDs(t)
	w := newWire(t, attachModes[0].mode)
	q := create(t, &w.right, newUMEM(t))
	withoutCapability(t, unix.CAP_NET_RAW, func() {
		_, err := Join(q.FD(), testConfig(&w.right))
		wantError(t, "join", err, ErrPermission, unix.EPERM, "CAP_NET_RAW")
		_, err = Probe()
		wantError(t, "probe", err, ErrPermission, unix.EPERM, "CAP_NET_RAW")
		// Who has a descriptor may use it.
		view, err := ViewRX(q.FD(), ringSize)
		if err != nil {
			t.Error(err)
			return
		}
		view.Close()
		if err := q.Transmit(); err != 0 {
			t.Error(err)
		}
		if _, err := q.Statistics(); err != nil {
			t.Error(err)
		}
	})
}

func TestUnsupportedError(t *testing.T) {
	err := error(&UnsupportedError{Feature: "teleportation", Kernel: "9.9", Err: unix.ENOSYS})
	if got := err.Error(); got != "xsk: no teleportation, which takes Linux 9.9 or newer: function not implemented" {
		t.Error(got)
	}
	if !errors.Is(err, unix.ENOSYS) {
		t.Error("has not its errno")
	}
	if got := (&UnsupportedError{Feature: "teleportation"}).Error(); got != "xsk: no teleportation" {
		t.Error(got)
	}
}
