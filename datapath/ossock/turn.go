// SPDX-License-Identifier: MIT

package ossock

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// Turn does what the events of one wake-up ask for, and stores the outcome in t.
//
// It makes no up-call: C runs those after Go has returned. It reads at most one
// batch; t.More asks for another turn with only EPOLLIN set.
func Turn(ep *batch.Endpoint, t *batch.Turn) {
	t.Chain, t.Done = nil, nil
	t.Taken, t.Datagrams, t.Bytes, t.Dropped, t.Error = 0, 0, 0, 0, 0
	t.More, t.Connected, t.Disconnected = false, false, false
	if ep.Kind == batch.KindTCP {
		turnTCP(ep, t)
	} else {
		turnUDP(ep, t)
	}
}

func turnUDP(ep *batch.Endpoint, t *batch.Turn) {
	if t.Events&unix.EPOLLERR != 0 {
		t.Error = int32(socketError(ep.FD))
	}
	if t.Events&unix.EPOLLOUT != 0 {
		flush(ep, t)
	}
	if t.Events&unix.EPOLLIN != 0 {
		receive(ep, t)
	}
}

// ptr names the one conversion of this package, so that each use stands out.
func ptr[T any](p *T) unsafe.Pointer { return unsafe.Pointer(p) }
