// SPDX-License-Identifier: MIT

package ossock

import (
	"bytes"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
)

const everyEvent = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLERR | unix.EPOLLHUP

// plainListener listens with a plain socket.
func (h *host) plainListener(at string) (fd int) {
	h.t.Helper()
	fd = h.socket(unix.SOCK_STREAM, at)
	if err := unix.Listen(fd, 10); err != nil {
		h.t.Fatal(err)
	}
	return fd
}

// plainAccept waits for a connection of a plain listener.
func plainAccept(t *testing.T, fd int) (conn int) {
	t.Helper()
	until(t, "a connection", func() (ok bool, err error) {
		conn, _, err = unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return err == nil, err
	})
	t.Cleanup(func() { unix.Close(conn) })
	return conn
}

// readAll reads what is there, at most limit bytes, and reports whether the stream has ended.
func readAll(t *testing.T, fd, limit int) (data []byte, ended bool, errno error) {
	t.Helper()
	buf := make([]byte, 1<<16)
	for len(data) < limit {
		n, err := unix.Read(fd, buf[:min(len(buf), limit-len(data))])
		switch {
		case err == unix.EAGAIN:
			return data, false, nil
		case err != nil:
			return data, true, err
		case n == 0:
			return data, true, nil
		}
		data = append(data, buf[:n]...)
	}
	return data, false, nil
}

func writeAll(t *testing.T, fd int, data []byte) {
	t.Helper()
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
}

// reset closes a plain connection with a reset instead of an end.
func reset(t *testing.T, fd int) {
	t.Helper()
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		t.Fatal(err)
	}
	closeNow(t, fd)
}

// closeNow closes a descriptor whose number stays taken, since clean-up closes it once more.
func closeNow(t *testing.T, fd int) {
	t.Helper()
	null, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
}

// dial opens a TCP endpoint to a plain listener, and accepts it there.
func (w *worker) dial(h *host, listener int) (ep *batch.Endpoint, far int) {
	w.t.Helper()
	ep = w.mustOpen(h, remote(w.request(tcp, 1), nameOf(w.t, listener)))
	return ep, plainAccept(w.t, listener)
}

// connected is dial until the worker knows.
func (w *worker) connected(h *host, listener int) (ep *batch.Endpoint, far int) {
	w.t.Helper()
	ep, far = w.dial(h, listener)
	w.runUntil("connected", func() bool { return ep.TCPState.Load() == tcpConnected })
	return ep, far
}

func (w *worker) said(ep *batch.Endpoint, call string) func() bool {
	return func() bool {
		calls := w.seen[ep].calls
		return len(calls) != 0 && calls[len(calls)-1] == call
	}
}

// wantQuiet fails if there are events although nothing happens.
func (w *worker) wantQuiet() {
	w.t.Helper()
	if n := w.idle(); n != 0 {
		w.t.Errorf("%d wake-ups for nothing", n)
	}
}

// wantOnce fails unless an up-call was made exactly once.
func (w *worker) wantOnce(ep *batch.Endpoint, call string) {
	w.t.Helper()
	n := 0
	for _, c := range w.seen[ep].calls {
		if c == call {
			n++
		}
	}
	if n != 1 {
		w.t.Errorf("%q was said %d times: %v", call, n, w.seen[ep].calls)
	}
}

func chunk(t testing.TB, data []byte) *batch.Tx { return blocktest.NewTx(t, 0, data) }

func TestConnectIsSaidOnce(t *testing.T) {
	h := newHost(t)
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		w := newWorker(t)
		to := h.plainListener(at)
		ep, far := w.connected(h, to)
		w.wantQuiet()
		w.wantCalls(ep, "connected")
		wantWatched(t, ep, unix.EPOLLIN)
		if peer, err := unix.Getpeername(far); err != nil {
			t.Error(err)
		} else if got, want := peer, sockaddr(ep.Local.AddrPort()); !equalSockaddr(got, want) {
			t.Errorf("the peer sees %+v, the local address is %v", got, ep.Local.AddrPort())
		}
	}
}

func equalSockaddr(a, b unix.Sockaddr) bool {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		b, ok := b.(*unix.SockaddrInet4)
		return ok && a.Port == b.Port && a.Addr == b.Addr
	case *unix.SockaddrInet6:
		b, ok := b.(*unix.SockaddrInet6)
		return ok && a.Port == b.Port && a.Addr == b.Addr
	}
	return false
}

// A refused connection was never there: it is over, and that is all.
func TestRefusedConnect(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep := w.mustOpen(h, remote(w.request(tcp, 1), h.unused(unix.SOCK_STREAM, "127.0.0.1:0")))
	w.runUntil("refused", w.said(ep, "disconnected"))
	w.wantQuiet()
	w.wantCalls(ep, "disconnected")
	w.wantOnce(ep, "disconnected")
	if errs := w.seen[ep].errors; len(errs) != 1 || errs[0] != unix.ECONNREFUSED {
		t.Errorf("errors %v, want ECONNREFUSED", errs)
	}
	if status := Send(ep, chunk(t, pattern(1, 10))); status <= 0 {
		t.Errorf("a send has status %d, want an errno", status)
	}
}

func TestRefusedConnectReturnsTheSends(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	req := remote(w.request(tcp, 1), h.unused(unix.SOCK_STREAM, "127.0.0.1:0"))
	h.do(func() error { return Open(req) })
	ep := req.Endpoints()[0]
	list := []*batch.Tx{chunk(t, pattern(1, 10)), chunk(t, pattern(2, 10))}
	for _, tx := range list {
		wantQueued(t, Send(ep, tx))
	}
	if err := Watch(ep); err != nil {
		t.Fatal(err)
	}
	w.runUntil("refused", w.said(ep, "disconnected"))
	w.wantCalls(ep, "sent", "disconnected")
	for i, tx := range w.seen[ep].sent {
		if i >= len(list) || tx != list[i] || tx.Status == 0 {
			t.Errorf("send %d of %d: status %d", i+1, len(list), tx.Status)
		}
	}
	if ep.Queued.Load() != 0 {
		t.Errorf("%d sends still wait", ep.Queued.Load())
	}
}

// All of these end before the worker looks at the connection for the first time.
func TestConnectionThatIsOverBeforeAnybodyLooked(t *testing.T) {
	h := newHost(t)
	hello := pattern(1, 1000)
	for _, test := range []struct {
		name   string
		data   []byte
		end    func(t *testing.T, fd int)
		events uint32
		calls  []string
	}{
		{"reset", nil, reset, unix.EPOLLHUP, []string{"connected", "disconnected"}},
		{"ended", nil, closeNow, unix.EPOLLIN, []string{"connected", "disconnected"}},
		{"ended after data", hello, closeNow, unix.EPOLLIN, []string{"connected", "received", "disconnected"}},
		{"reset after data", hello, reset, unix.EPOLLHUP, []string{"connected", "received", "disconnected"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorker(t)
			ep, far := w.dial(h, h.plainListener("127.0.0.1:0"))
			writeAll(t, far, test.data)
			test.end(t, far)
			w.ready(ep, test.events)
			w.runUntil("over", w.said(ep, "disconnected"))
			w.wantCalls(ep, test.calls...)
			w.wantOnce(ep, "connected")
			w.wantOnce(ep, "disconnected")
			if !bytes.Equal(w.seen[ep].stream, test.data) {
				t.Errorf("%d bytes came, want %d", len(w.seen[ep].stream), len(test.data))
			}
			w.wantQuietSoon()
		})
	}
}

func TestResetBeforeTheFirstLookIsOneTurn(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.dial(h, h.plainListener("127.0.0.1:0"))
	reset(t, far)
	w.ready(ep, unix.EPOLLHUP)
	w.once(ep, everyEvent)
	if !w.turn.Connected || !w.turn.Disconnected || w.turn.More {
		t.Errorf("connected %v, disconnected %v, more %v; want both at once", w.turn.Connected, w.turn.Disconnected, w.turn.More)
	}
}

// The end comes after all data, once, whatever ended the connection.
func TestEndComesAfterData(t *testing.T) {
	h := newHost(t)
	for _, test := range []struct {
		name string
		end  func(t *testing.T, fd int)
	}{{"closed", closeNow}, {"reset", reset}} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorker(t)
			ep, far := w.connected(h, h.plainListener("[::1]:0"))
			want := pattern(1, 10*batch.MaxPayload)
			for rest := want; len(rest) > 0; {
				n, err := unix.Write(far, rest)
				if rest = rest[max(n, 0):]; err != nil && err != unix.EAGAIN {
					t.Fatal(err)
				}
				w.runOnce(0)
			}
			// A reset drops what its sender still keeps.
			until(t, "all is on the way", func() (bool, error) { return unsent(t, far) == 0, nil })
			test.end(t, far)
			w.runUntil("over", w.said(ep, "disconnected"))
			w.wantQuietSoon()
			w.wantCalls(ep, "connected", "received", "disconnected")
			w.wantOnce(ep, "disconnected")
			if !bytes.Equal(w.seen[ep].stream, want) {
				t.Errorf("%d bytes came, want %d", len(w.seen[ep].stream), len(want))
			}
		})
	}
}

// unsent is how much a plain connection keeps that its peer has not acknowledged.
func unsent(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The end of a stream stays readable: nobody may be woken for it again. The
// other direction still works.
func TestHalfClosedConnectionIsQuietAndStillSends(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.connected(h, h.plainListener("127.0.0.1:0"))
	if err := unix.Shutdown(far, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	w.runUntil("over", w.said(ep, "disconnected"))
	before := w.seen[ep].wakeups
	w.wantQuiet()
	if before > 3 {
		t.Errorf("%d wake-ups for a connection and its end", before)
	}
	wantWatched(t, ep, 0)

	want := pattern(1, 1000)
	wantStatus(t, Send(ep, chunk(t, want)), 0)
	var got []byte
	until(t, "what was sent", func() (bool, error) {
		more, _, err := readAll(t, far, len(want))
		got = append(got, more...)
		return len(got) == len(want), err
	})
	if !bytes.Equal(got, want) {
		t.Error("the peer read something else")
	}

	closeNow(t, far)
	w.wantQuietSoon()
	w.wantOnce(ep, "disconnected")
}

// wantQuietSoon gives what happened last a few wake-ups to be dealt with.
func (w *worker) wantQuietSoon() {
	w.t.Helper()
	if n := w.idle(); n > 3 {
		w.t.Errorf("%d wake-ups", n)
	}
	w.wantQuiet()
}

// A connection that is over in both directions wakes nobody, and takes no more sends.
func TestConnectionOverInBothDirections(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.connected(h, h.plainListener("127.0.0.1:0"))
	reset(t, far)
	w.runUntil("over", w.said(ep, "disconnected"))
	w.wantQuietSoon()
	if _, ok := watched(t, ep); ok {
		t.Error("still watched, for events that cannot be turned off")
	}
	if status := Send(ep, chunk(t, pattern(1, 10))); status <= 0 {
		t.Errorf("a send has status %d, want an errno", status)
	}
	w.wantOnce(ep, "disconnected")
}

// smallest gives a kernel buffer the least size that there is.
func smallest(t *testing.T, fd, option int) {
	t.Helper()
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
		t.Fatal(err)
	}
}

// slow makes a connection whose kernel buffers are small.
func (w *worker) slow(h *host) (ep *batch.Endpoint, far int) {
	w.t.Helper()
	to := h.plainListener("127.0.0.1:0")
	smallest(w.t, to, unix.SO_RCVBUF)
	ep, far = w.connected(h, to)
	smallest(w.t, int(ep.FD), unix.SO_SNDBUF)
	return ep, far
}

// readStream reads what a peer gets, while the worker serves its events.
func (w *worker) readStream(far, size int) (got []byte) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); len(got) < size; {
		more, ended, err := readAll(w.t, far, min(10000, size-len(got)))
		if ended || time.Now().After(deadline) {
			w.t.Fatalf("%d of %d bytes came: %v", len(got), size, err)
		}
		got = append(got, more...)
		w.runOnce(time.Millisecond)
	}
	return got
}

func TestPartialWritesKeepTheStreamInOrder(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.slow(h)
	const sends, size = 20, 20000
	var want []byte
	var queued []*batch.Tx
	for i := range sends {
		data := pattern(i, size+i)
		want = append(want, data...)
		tx := chunk(t, data)
		switch status := Send(ep, tx); {
		case status == batch.SendQueued:
			queued = append(queued, tx)
		case status != 0 || len(queued) != 0:
			t.Fatalf("send %d: status %d, %d wait", i, status, len(queued))
		}
	}
	if len(queued) < sends/2 {
		t.Fatalf("only %d of %d sends had to wait: this shows nothing", len(queued), sends)
	}
	wantWatched(t, ep, unix.EPOLLIN|unix.EPOLLOUT)
	if !bytes.Equal(w.readStream(far, len(want)), want) {
		t.Error("the stream is not what was sent")
	}
	w.wantQuietSoon()
	done := w.seen[ep].sent
	if len(done) != len(queued) {
		t.Fatalf("%d sends are done, %d waited", len(done), len(queued))
	}
	for i, tx := range done {
		if tx != queued[i] || tx.Status != 0 || tx.Sent != tx.Total {
			t.Errorf("send %d: status %d, %d of %d bytes", i, tx.Status, tx.Sent, tx.Total)
		}
	}
	wantWatched(t, ep, unix.EPOLLIN)
}

// The kernel may have room again before the worker knows it.
func TestStreamSendDoesNotOvertakeWhatWaits(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.slow(h)
	first, second := pattern(1, 60000), pattern(2, 100)
	wantQueued(t, Send(ep, chunk(t, first)))
	var got []byte
	until(t, "room in the kernel", func() (bool, error) {
		more, _, err := readAll(t, far, 1000)
		got = append(got, more...)
		return polled(int(ep.FD), unix.POLLOUT, time.Millisecond), err
	})
	wantQueued(t, Send(ep, chunk(t, second)))
	want := append(first, second...)
	if got = append(got, w.readStream(far, len(want)-len(got))...); !bytes.Equal(got, want) {
		t.Error("the stream is not what was sent")
	}
}

// What waits when the connection breaks comes back with an error, and nothing stays.
func TestBrokenConnectionReturnsTheSends(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.slow(h)
	var queued []*batch.Tx
	for i := range 20 {
		if tx := chunk(t, pattern(i, 20000)); Send(ep, tx) == batch.SendQueued {
			queued = append(queued, tx)
		}
	}
	reset(t, far)
	w.runUntil("over", w.said(ep, "disconnected"))
	w.wantQuietSoon()
	done := w.seen[ep].sent
	if len(done) != len(queued) || len(done) == 0 {
		t.Fatalf("%d sends came back, %d waited", len(done), len(queued))
	}
	for i, tx := range done {
		if tx != queued[i] || tx.Status <= 0 {
			t.Errorf("send %d of %d: status %d", i+1, len(done), tx.Status)
		}
	}
	if ep.Queued.Load() != 0 || ep.QueueHead != nil || ep.QueueTail != nil {
		t.Errorf("%d sends still wait", ep.Queued.Load())
	}
	w.wantOnce(ep, "disconnected")
}

// SIGPIPE would end a program that has never heard of it.
func TestSendToABrokenConnectionRaisesNoSignal(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.connected(h, h.plainListener("127.0.0.1:0"))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGPIPE)
	defer signal.Stop(signals)
	reset(t, far)
	w.ready(ep, unix.EPOLLHUP)
	for range 2 { // the first one may tell of the reset
		if status := Send(ep, chunk(t, pattern(1, 10))); status <= 0 {
			t.Errorf("a send has status %d, want an errno", status)
		}
	}
	select {
	case <-signals:
		t.Error("SIGPIPE")
	case <-time.After(quiet):
	}
}

// MsQuic may send before it is told that the connection is there, also more
// than the kernel takes at once then.
func TestSendsWhileConnectingGoOutInOrder(t *testing.T) {
	h := newHost(t)
	for _, size := range []int{1000, 30000} {
		w := newWorker(t)
		to := h.plainListener("127.0.0.1:0")
		smallest(t, to, unix.SO_RCVBUF)
		req := remote(w.request(tcp, 1), nameOf(t, to))
		h.do(func() error { return Open(req) })
		ep := req.Endpoints()[0]
		smallest(t, int(ep.FD), unix.SO_SNDBUF)
		var want []byte
		for i := range 6 {
			if i == 3 {
				if err := Watch(ep); err != nil {
					t.Fatal(err)
				}
			}
			data := pattern(i, size)
			want = append(want, data...)
			wantQueued(t, Send(ep, chunk(t, data)))
		}
		wantWatched(t, ep, unix.EPOLLIN|unix.EPOLLOUT)
		far := plainAccept(t, to)
		if !bytes.Equal(w.readStream(far, len(want)), want) {
			t.Error("the peer read something else")
		}
		w.runUntil("all is sent", func() bool { return len(w.seen[ep].sent) == 6 })
		w.wantCalls(ep, "connected", "sent")
		w.wantQuiet()
		wantWatched(t, ep, unix.EPOLLIN)
	}
}

func TestStreamWaitsInTheKernelForABlock(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.connected(h, h.plainListener("127.0.0.1:0"))
	want := pattern(1, 1000)
	writeAll(t, far, want)
	w.pool.Withhold(w.turn, 0)
	w.once(ep, unix.EPOLLIN)
	if len(w.seen[ep].stream) != 0 || w.turn.More {
		t.Errorf("read %d bytes without a block", len(w.seen[ep].stream))
	}
	w.runUntil("it is here", func() bool { return len(w.seen[ep].stream) == len(want) })
	if !bytes.Equal(w.seen[ep].stream, want) {
		t.Error("another stream")
	}
}

// Stream data has no addresses: the socket says who it is from.
func TestStreamRouteHasNoAddresses(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.connected(h, h.plainListener("127.0.0.1:0"))
	writeAll(t, far, pattern(1, 10))
	w.turn.Events = unix.EPOLLIN
	until(t, "data", func() (bool, error) {
		Turn(ep, w.turn)
		return w.turn.Chain != nil, nil
	})
	d := w.turn.Chain
	want := batch.Route{Queue: ep.Queue, Type: batch.DatapathNormal, State: batch.RouteResolved}
	if *d.Route != want || d.TOS != 0 || d.TTL != 0 || d.Next != nil {
		t.Errorf("route %+v, TOS %d, TTL %d", *d.Route, d.TOS, d.TTL)
	}
	w.pool.Deliver(w.turn)
	w.pool.Refill(w.turn)
	w.pool.Return(d)
}

func TestAccept(t *testing.T) {
	h := newHost(t)
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		w := newWorker(t)
		ep := w.mustOpen(h, local(w.request(listener, 1), at))
		client := h.socket(unix.SOCK_STREAM, at)
		conn := w.endpoint()
		wantError(t, Accept(ep, conn), unix.EAGAIN, "accept4("+ep.Local.AddrPort().String()+")")
		if conn.FD != -1 {
			t.Errorf("no connection, but descriptor %d", conn.FD)
		}
		if err := unix.Connect(client, sockaddr(ep.Local.AddrPort())); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
		if events := w.wait(patience); len(events) != 1 || w.owner(&events[0]) != ep {
			t.Fatal("the listener's event queue says nothing")
		}
		if err := Accept(ep, conn); err != nil {
			t.Fatal(err)
		}
		if conn.Local != ep.Local || conn.Remote != batch.AddrFrom(nameOf(t, client)) {
			t.Errorf("accepted %v from %v, want %v from %v", conn.Local.AddrPort(), conn.Remote.AddrPort(), ep.Local.AddrPort(), nameOf(t, client))
		}
		if conn.Kind != tcp || conn.TCPState.Load() != tcpConnected {
			t.Errorf("%+v", conn)
		}
		wantLingerReset(t, conn)
		wantOption(t, conn, unix.SOL_TCP, unix.TCP_NODELAY, 1)
		if flags, err := unix.FcntlInt(uintptr(conn.FD), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("status flags %#x, %v", flags, err)
		}
		if flags, err := unix.FcntlInt(uintptr(conn.FD), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor flags %#x, %v", flags, err)
		}
		wantError(t, Accept(ep, w.endpoint()), unix.EAGAIN)

		if err := Watch(conn); err != nil {
			t.Fatal(err)
		}
		writeAll(t, client, pattern(1, 100))
		w.runUntil("data", func() bool { return len(w.seen[conn].stream) == 100 })
		wantStatus(t, Send(conn, chunk(t, pattern(2, 100))), 0)
		got, _, err := readAll(t, client, 100)
		if err != nil || !bytes.Equal(got, pattern(2, 100)) {
			t.Errorf("the client read %d bytes: %v", len(got), err)
		}
		w.wantCalls(conn, "received")
	}
}

func TestAcceptWithAFullDescriptorTableResetsTheClient(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep := w.mustOpen(h, local(w.request(listener, 1), "127.0.0.1:0"))
	var clients []int
	for range 2 {
		clients = append(clients, h.socket(unix.SOCK_STREAM, "127.0.0.1:0"))
		if err := unix.Connect(clients[len(clients)-1], sockaddr(ep.Local.AddrPort())); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	h.do(func() error {
		defer leaveDescriptors(t, 0)()
		for range clients {
			if len(w.wait(patience)) == 0 {
				t.Fatal("no connection waits")
			}
			wantError(t, Accept(ep, blocktest.NewEndpoint(w.queue)), unix.EMFILE, "accept4(")
		}
		if n := len(w.wait(quiet)); n != 0 {
			t.Error("the connection stays in the backlog, and wakes the worker for ever")
		}
		return nil
	})
	for i, client := range clients {
		polled(client, unix.POLLHUP, patience)
		if _, ended, err := readAll(t, client, 1); !ended || err != unix.ECONNRESET {
			t.Errorf("client %d: ended %v, %v; want a reset", i, ended, err)
		}
	}
	if ep.SpareFD < 0 {
		t.Error("the spare descriptor was not taken again")
	}

	last := h.socket(unix.SOCK_STREAM, "127.0.0.1:0")
	if err := unix.Connect(last, sockaddr(ep.Local.AddrPort())); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	conn := w.endpoint()
	until(t, "accepted", func() (bool, error) {
		err := Accept(ep, conn)
		return err == nil, nil
	})
}

// A listener that could not get its spare descriptor takes one as soon as it can.
func TestListenerWithoutASpareGetsOneLater(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	req := local(w.request(listener, 1), "127.0.0.1:0")
	h.do(func() error { return Open(req) })
	ep := req.Endpoints()[0]
	unix.Close(int(ep.SpareFD)) // as if there had been none to be had
	ep.SpareFD = -1
	client := h.socket(unix.SOCK_STREAM, "127.0.0.1:0")
	if err := unix.Connect(client, sockaddr(ep.Local.AddrPort())); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	conn := w.endpoint()
	until(t, "accepted", func() (bool, error) { return Accept(ep, conn) == nil, nil })
	if ep.SpareFD < 0 {
		t.Error("descriptors are free again, and the listener has no spare one")
	}
}

func TestAcceptOnWhatIsNoListener(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	conn := w.endpoint()
	wantError(t, Accept(w.server(h), conn), unix.EOPNOTSUPP, "accept4(")
	if conn.FD != -1 {
		t.Errorf("descriptor %d", conn.FD)
	}
}

// The peer learns at once that a connection is deleted; MsQuic is not told of its own doing.
func TestQuiesceEndsAConnectionInSilence(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, far := w.connected(h, h.plainListener("127.0.0.1:0"))
	Quiesce(ep)
	if _, ok := watched(t, ep); ok {
		t.Error("still watched")
	}
	until(t, "the peer knows", func() (bool, error) {
		_, ended, _ := readAll(t, far, 1)
		return ended, nil
	})
	w.once(ep, everyEvent) // harvested before
	w.wantCalls(ep, "connected")
	Quiesce(ep)
}

func TestQuiesceOfAConnectionThatIsNotThereYet(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep, _ := w.dial(h, h.plainListener("127.0.0.1:0"))
	Quiesce(ep)
	w.once(ep, everyEvent)
	w.wantCalls(ep)
}

// A worker may be in the middle of a turn when another thread deletes the
// socket. Connected may still be said then, the end of it not.
func TestQuiesceDuringATurn(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	to := h.plainListener("127.0.0.1:0")
	for range 100 {
		ep, _ := w.dial(h, to)
		var both sync.WaitGroup
		start := make(chan struct{})
		both.Go(func() { <-start; Quiesce(ep) })
		close(start)
		w.serve(ep, everyEvent)
		both.Wait()
		for _, call := range w.seen[ep].calls {
			if call == "disconnected" {
				t.Fatalf("our own delete was said: %v", w.seen[ep].calls)
			}
		}
		Close(ep)
	}
}

// The moments in which a turn has seen the state of a connection, and another
// thread deletes it.
func TestTurnDoesNotReviveADeletedConnection(t *testing.T) {
	h := newHost(t)
	for _, test := range []struct {
		name string
		dial func(w *worker, h *host, listener int) (*batch.Endpoint, int)
		next func(ep *batch.Endpoint, t *batch.Turn)
	}{
		{"was connecting", (*worker).dial, func(ep *batch.Endpoint, t *batch.Turn) { finishConnect(ep, t) }},
		{"was connected", (*worker).connected, readTCP},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorker(t)
			ep, _ := test.dial(w, h, h.plainListener("127.0.0.1:0"))
			Quiesce(ep)
			w.turn.Events = everyEvent
			test.next(ep, w.turn)
			if ep.TCPState.Load() != tcpDisconnected || w.turn.Disconnected {
				t.Errorf("state %d, disconnected %v; want state %d and silence", ep.TCPState.Load(), w.turn.Disconnected, tcpDisconnected)
			}
		})
	}
}

// One turn may end some sends by writing them and others by giving up.
func TestAbandonedSendsFollowThoseThatAreDone(t *testing.T) {
	p := newPipe(t)
	defer p.close()
	list := []*batch.Tx{numbered(t, 0), numbered(t, 1), numbered(t, 2), numbered(t, 3)}
	list[0].Next = list[1]
	turn := batch.Turn{Done: list[0]}
	p.ep.Lock.Lock()
	push(p.ep, list[2])
	push(p.ep, list[3])
	p.ep.Lock.Unlock()
	abandon(p.ep, &turn)
	tx := turn.Done
	for i, want := range list {
		if tx != want || tx.Status != []int32{0, 0, int32(unix.ECONNRESET), int32(unix.ECONNRESET)}[i] {
			t.Fatalf("send %d of %d is %+v", i+1, len(list), tx)
		}
		tx = tx.Next
	}
	if tx != nil || p.ep.Queued.Load() != 0 {
		t.Errorf("more than %d sends, %d wait", len(list), p.ep.Queued.Load())
	}
}

func TestCloseFreesThePortAtOnce(t *testing.T) {
	h := newHost(t)
	for _, kind := range []uint8{udp, listener} {
		w := newWorker(t)
		req := local(w.request(kind, 1), "127.0.0.1:4433")
		for range 3 {
			ep := w.mustOpen(h, req)
			if ep.Local.AddrPort() != netip.MustParseAddrPort("127.0.0.1:4433") {
				t.Fatal(ep.Local.AddrPort())
			}
			Quiesce(ep)
			Close(ep)
		}
	}
}
