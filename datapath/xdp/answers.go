// SPDX-License-Identifier: MIT

package xdp

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/ossock"
	"github.com/msquicxdp/msquicxdp/datapath/route"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// answers keeps what neighbours have answered until a worker fetches it: Go calls
// nobody, it writes to an eventfd that the worker watches.
type answers struct {
	mu   sync.Mutex
	list []batch.Way
	fd   int
}

func newAnswers() *answers { return &answers{fd: -1} }

func (a *answers) watch(ep *batch.Endpoint) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return kerr.New("eventfd", "", err, "raise the limit of open files (ulimit -n) if it is reached")
	}
	a.mu.Lock()
	a.fd = fd
	a.mu.Unlock()
	ep.FD = int32(fd)
	return ossock.Watch(ep)
}

func (a *answers) add(w batch.Way, is route.Answer) {
	w.Found = is.State == route.Known
	w.NextHopMAC = is.MAC
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, w)
	a.wake()
}

// ring wakes the worker without an answer: there is something to do for it.
func (a *answers) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake()
}

// wake is for who has mu.
func (a *answers) wake() {
	if a.fd >= 0 {
		_, _ = unix.Write(a.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// take moves answers into dst, and returns how many.
func (a *answers) take(dst []batch.Way) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := copy(dst, a.list)
	a.list = a.list[n:]
	if len(a.list) == 0 && a.fd >= 0 {
		var b [8]byte
		_, _ = unix.Read(a.fd, b[:])
	}
	return n
}

// close is called when nobody asks any more.
func (a *answers) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fd >= 0 {
		unix.Close(a.fd)
	}
	a.fd = -1
}
