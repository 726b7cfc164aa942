// SPDX-License-Identifier: MIT

package ossock

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Watch registers an open endpoint with its event queue: from now on events,
// and so up-calls, may come, even before Watch has returned.
//
// A send that was queued before is taken up by the first EPOLLOUT.
func Watch(ep *batch.Endpoint) error {
	ep.Lock.Lock()
	defer ep.Lock.Unlock()
	ep.Events |= unix.EPOLLIN
	if ep.TCPState.Load() == tcpConnecting {
		ep.Events |= unix.EPOLLOUT
	}
	if err := epollCtl(ep, unix.EPOLL_CTL_ADD); err != nil {
		return kerr.New("epoll_ctl", fmt.Sprintf("ADD socket %d to queue %d", ep.FD, ep.EventQ), err, "see fs.epoll.max_user_watches")
	}
	ep.Watched = 1
	return nil
}

// rearm changes what is watched for. The caller holds the lock.
func rearm(ep *batch.Endpoint, events uint32) {
	if events == ep.Events {
		return
	}
	ep.Events = events
	if ep.Watched == 1 {
		// Cannot fail: the socket is registered, and MOD needs no memory.
		epollCtl(ep, unix.EPOLL_CTL_MOD)
	}
}

// WatchRoom says whether an endpoint that is watched is to be told, by EPOLLOUT, that there is
// room to send.
func WatchRoom(ep *batch.Endpoint, wanted bool) {
	ep.Lock.Lock()
	defer ep.Lock.Unlock()
	events := ep.Events &^ unix.EPOLLOUT
	if wanted {
		events |= unix.EPOLLOUT
	}
	rearm(ep, events)
}

func unwatch(ep *batch.Endpoint) {
	if ep.Watched == 1 {
		epollCtl(ep, unix.EPOLL_CTL_DEL)
		ep.Watched = 0
	}
}

// epollCtl hands the kernel the endpoint's SQE, which is how MsQuic's workers
// find the completion handler. Package unix splits the data into two ints.
func epollCtl(ep *batch.Endpoint, op int) error {
	ev := unix.EpollEvent{Events: ep.Events}
	data := (*[8]byte)(unsafe.Pointer(&ev.Fd)) // Safety: Fd and Pad are the 8 bytes of epoll_data_t
	binary.NativeEndian.PutUint64(data[:], uint64(uintptr(ep.SQE)))
	return unix.EpollCtl(int(ep.EventQ), op, int(ep.FD), &ev)
}

// Quiesce stops events of an endpoint, and ends a TCP connection in both
// directions. Events that a worker has already harvested may still come.
func Quiesce(ep *batch.Endpoint) {
	if ep.FD < 0 {
		return
	}
	ep.Lock.Lock()
	defer ep.Lock.Unlock()
	unwatch(ep)
	if ep.Kind == batch.KindTCP {
		ep.TCPState.Store(tcpDisconnected)
		unix.Shutdown(int(ep.FD), unix.SHUT_RDWR) // ENOTCONN while connecting is no news
	}
}

// Close closes the kernel socket, which frees its port at once, and returns the
// sends that still waited. No call for the endpoint may be under way.
func Close(ep *batch.Endpoint) *batch.Tx {
	closeFDs(ep)
	endLease(ep)
	waiting := ep.QueueHead
	ep.QueueHead, ep.QueueTail = nil, nil
	ep.Queued.Store(0)
	return waiting
}

func closeFDs(ep *batch.Endpoint) {
	for _, fd := range []*int32{&ep.FD, &ep.SpareFD} {
		if *fd >= 0 {
			unix.Close(int(*fd))
		}
		*fd = -1
	}
}
