// SPDX-License-Identifier: MIT

package ossock

import (
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// The states of a TCP endpoint. Under the endpoint's lock once it is watched.
const (
	tcpConnecting = 1 + iota
	tcpConnected
	tcpDisconnected // said once, whatever the cause; nothing is read any more
)

// Accept takes one connection from a listener into conn, which shares the
// listener's event queue. EAGAIN means that none waits.
//
// When the descriptor table is full the connection is reset instead of staying
// in the backlog, where it would wake the worker for ever.
func Accept(listener, conn *batch.Endpoint) error {
	conn.FD, conn.SpareFD, conn.Kind = -1, -1, batch.KindTCP
	fd, peer, errno := accept(int(listener.FD))
	switch errno {
	case 0:
	case unix.EMFILE, unix.ENFILE:
		shed(listener)
		fallthrough
	default:
		return kerr.New("accept4", listener.Local.AddrPort().String(), errno, "")
	}
	conn.FD = int32(fd)
	conn.TCPState.Store(tcpConnected)
	if listener.SpareFD < 0 {
		listener.SpareFD = openSpare() // the table was full, and is no more
	}
	if err := acceptedOptions(conn, peer); err != nil {
		closeFDs(conn)
		return err
	}
	return nil
}

func acceptedOptions(conn *batch.Endpoint, peer batch.Addr) error {
	local, err := sockname(int(conn.FD))
	if err != nil {
		return kerr.New("getsockname", "accepted connection", err, "")
	}
	for _, a := range []*batch.Addr{&local, &peer} {
		a.Unmap()
		a.Scope = 0
	}
	conn.Local, conn.Remote = local, peer
	if err := lingerReset(int(conn.FD)); err != nil {
		return err
	}
	return setOptions(int(conn.FD), []option{noDelayOption})
}

// openSpare reserves a descriptor for [shed]; -1 when there is none to be had.
func openSpare() int32 {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return int32(fd)
}

// shed accepts one connection on the spare descriptor and closes it.
func shed(listener *batch.Endpoint) {
	if listener.SpareFD < 0 {
		return
	}
	unix.Close(int(listener.SpareFD))
	if fd, _, errno := accept(int(listener.FD)); errno == 0 {
		lingerReset(fd)
		unix.Close(fd)
	}
	listener.SpareFD = openSpare()
}

// turnTCP advances a connection. Data that came before the end is delivered before the end.
func turnTCP(ep *batch.Endpoint, t *batch.Turn) {
	if ep.TCPState.Load() == tcpConnecting && !finishConnect(ep, t) {
		return
	}
	if ep.TCPState.Load() == tcpConnected && t.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		readTCP(ep, t)
	}
	if t.Events&unix.EPOLLOUT != 0 && ep.Queued.Load() != 0 {
		flush(ep, t)
	}
	if ep.TCPState.Load() == tcpDisconnected && t.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		abandon(ep, t)
	}
}

// finishConnect learns how connect ended, and reports whether there is a
// connection to read from.
//
// One that was established and reset before anybody looked is both connected
// and disconnected, and what came in between is read first. The errno tells it
// from one that never was: a reset is ECONNREFUSED only in answer to our SYN
// (tcp_reset in the kernel).
func finishConnect(ep *batch.Endpoint, t *batch.Turn) bool {
	if t.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		return false
	}
	errno := socketError(ep.FD)
	if errno == 0 && !hasPeer(ep.FD) {
		return false // a late event of an earlier socket: the answer to our SYN is not here yet
	}
	if errno != 0 && errno != unix.ECONNRESET && errno != unix.EPIPE {
		disconnect(ep, t, errno)
		abandon(ep, t)
		return false
	}
	ep.Lock.Lock()
	defer ep.Lock.Unlock()
	if ep.TCPState.Load() != tcpConnecting {
		return false // deleted meanwhile
	}
	ep.TCPState.Store(tcpConnected)
	t.Connected = true
	if ep.QueueHead == nil {
		rearm(ep, ep.Events&^unix.EPOLLOUT)
	}
	return true
}

// readTCP reads one chunk of the stream into the first block.
func readTCP(ep *batch.Endpoint, t *batch.Turn) {
	b := t.Block[0]
	if b == nil {
		return
	}
	n, errno := read(ep.FD, b.Bytes()[:batch.MaxPayload])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0 || n == 0:
		disconnect(ep, t, errno)
	default:
		t.Chain = deliverStream(ep, b, n)
		t.Taken, t.Datagrams, t.Bytes, t.More = 1, 1, uint32(n), true
	}
}

func deliverStream(ep *batch.Endpoint, b *batch.Rx, n int) *batch.RecvData {
	s := b.Slot(0)
	s.Block, b.Pending = b, 1
	r := &s.Route
	*r = batch.Route{Queue: ep.Queue, Type: batch.DatapathNormal, State: batch.RouteResolved}
	s.Data = batch.RecvData{Route: r, Buffer: b.Buffer, Length: uint16(n), Partition: ep.Partition, Flags: batch.RecvAllocatedNormal}
	return &s.Data
}

// disconnect says once that the connection is over, and stops reading: the end
// of a stream stays readable, and would wake the worker for ever.
func disconnect(ep *batch.Endpoint, t *batch.Turn, errno unix.Errno) {
	ep.Lock.Lock()
	defer ep.Lock.Unlock()
	if ep.TCPState.Load() == tcpDisconnected {
		return
	}
	ep.TCPState.Store(tcpDisconnected)
	t.Disconnected, t.Error = true, int32(errno)
	rearm(ep, ep.Events&^unix.EPOLLIN)
}

// abandon ends a connection that is closed in both directions: what waits cannot be sent any more.
func abandon(ep *batch.Endpoint, t *batch.Turn) {
	ep.Lock.Lock()
	defer ep.Lock.Unlock()
	unwatch(ep)
	tail := &t.Done
	for *tail != nil {
		tail = &(*tail).Next
	}
	for ep.QueueHead != nil {
		tx := pop(ep)
		tx.Status = int32(unix.ECONNRESET)
		*tail, tail = tx, &tx.Next
	}
}

// sendTCP keeps the order of the stream: a send waits behind those that wait.
func sendTCP(ep *batch.Endpoint, tx *batch.Tx) int32 {
	tx.Sent = 0
	ep.Lock.Lock()
	defer ep.Lock.Unlock()
	if ep.TCPState.Load() == tcpDisconnected && ep.Watched == 0 {
		return int32(unix.ECONNRESET)
	}
	if ep.TCPState.Load() != tcpConnecting && ep.QueueHead == nil {
		if errno := stream(ep, tx); errno != unix.EAGAIN {
			return int32(errno)
		}
	}
	push(ep, tx)
	return batch.SendQueued
}

// stream writes the bytes of tx that have not been written yet.
func stream(ep *batch.Endpoint, tx *batch.Tx) unix.Errno {
	for tx.Sent < tx.Total {
		n, errno := sendStream(ep.FD, tx.Data[tx.Sent:tx.Total])
		if errno != 0 {
			return errno
		}
		tx.Sent += uint32(n)
	}
	return 0
}
