// SPDX-License-Identifier: MIT

package xsk

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// handed makes a socket beside q's that somebody else has made and handed over.
func (q *queue) handed(t testing.TB, end *netnstest.End) *queue {
	t.Helper()
	return newQueue(t, end, q.umem, q.done.words, func() (*Socket, error) {
		maker, err := Join(q.FD(), testConfig(end))
		if err != nil {
			return nil, err
		}
		defer maker.Close()
		fd, err := unix.FcntlInt(uintptr(maker.FD()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		return Adopt(fd, testConfig(end))
	})
}

func TestAdoptedSocketReceivesAndSends(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *wire) {
		first := create(t, &w.right, newUMEM(t))
		second := first.handed(t, &w.right)
		w.serve(t, 1, second.Socket)
		sender, sink := raw(t, &w.left), raw(t, &w.left)
		for i := range uint32(60) {
			send(t, sender, packet(1, i, 64))
		}
		wantNumbers(t, second.receive(t, 60), 0)
		second.transmit(t, rxChunks, packet(9, 7, 64))
		wantNumbers(t, [][]byte{read(t, sink)}, 7)
	})
}

// What is handed over may be anything; it is closed all the same.
func TestWhatIsNotAdopted(t *testing.T) {
	netnstest.CheckFDs(t)
	w := newWire(t, attachModes[0].mode)
	unbound := func() int {
		fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	file := func() int {
		fd, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	for name, make := range map[string]func() int{"an unbound socket": unbound, "a file": file} {
		if _, err := Adopt(make(), testConfig(&w.right)); err == nil {
			t.Errorf("%s was adopted", name)
		}
	}
	if _, err := Adopt(file(), Config{}); err == nil {
		t.Error("a configuration without rings was taken")
	}
}
