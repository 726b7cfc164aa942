// SPDX-License-Identifier: MIT

package ossock

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// A turn is reused: nothing of the last one may show.
func TestTurnForgetsTheLastOne(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	tcpEnd, _ := w.connected(h, h.plainListener("127.0.0.1:0"))
	for _, ep := range []*batch.Endpoint{w.server(h), tcpEnd} {
		turn := &batch.Turn{
			Chain: new(batch.RecvData), Done: new(batch.Tx), Taken: ^uint32(0), Datagrams: 1, Bytes: 1, Dropped: 1,
			Error: 1, More: true, Connected: true, Disconnected: true,
		}
		Turn(ep, turn)
		if *turn != (batch.Turn{}) {
			t.Errorf("kind %d: without events the turn says %+v", ep.Kind, turn)
		}
	}
}

// One wake-up may tell of both directions.
func TestTurnServesBothDirections(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	peer := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	ep := w.client(h, nameOf(t, peer))
	f := superFrame{1, 1, 10, 10}
	f.send(t, peer, port(ep, "127.0.0.1"))
	ep.Lock.Lock()
	push(ep, outgoing(t, nameOf(t, peer), 0, pattern(2, 10)))
	ep.Lock.Unlock()
	w.ready(ep, unix.EPOLLIN|unix.EPOLLOUT)
	w.once(ep, unix.EPOLLIN|unix.EPOLLOUT)
	w.wantCalls(ep, "sent", "received")
	w.wantDatagrams(ep, f.cut())
	wantSame(t, plainReceive(t, peer, 1), [][]byte{pattern(2, 10)})
}

// The hot path allocates nothing: not for a datagram, not for a batch.
func TestNoAllocationPerDatagram(t *testing.T) {
	h := newHost(t)
	for _, ip := range []string{"127.0.0.1", "::1"} {
		for _, count := range []int{1, 32} {
			t.Run(fmt.Sprintf("%d to %s", count, ip), func(t *testing.T) {
				w := newWorker(t)
				server := w.server(h)
				client := w.client(h, port(server, ip))
				answer := outgoing(t, port(client, client.Local.IP().String()), 1200, payloads(1, count, 1200, 600)...)
				answer.Local = client.Remote
				answer.Local.Unmap()
				answer.TOS = 2
				for _, d := range []struct {
					from, to *batch.Endpoint
					tx       *batch.Tx
				}{
					{client, server, outgoing(t, client.Remote.AddrPort(), 1200, payloads(1, count, 1200, 600)...)},
					{server, client, answer},
				} {
					wantNoAllocation(t, "Send", func() {
						if status := Send(d.from, d.tx); status != 0 {
							t.Errorf("status %d", status)
						}
						w.drain(d.to, d.tx.Total)
					})
				}
			})
		}
	}
}

// drain reads so many bytes, and lends the same blocks again, without the
// checks of the pool, which allocate.
func (w *worker) drain(ep *batch.Endpoint, bytes uint32) {
	for deadline := time.Now().Add(patience); bytes != 0; {
		w.turn.Events = unix.EPOLLIN
		Turn(ep, w.turn)
		w.turn.Taken = 0
		if w.turn.Bytes > bytes || w.turn.Dropped != 0 || time.Now().After(deadline) {
			w.t.Fatalf("%d bytes are missing, %d came, %d messages were dropped", bytes, w.turn.Bytes, w.turn.Dropped)
		}
		bytes -= w.turn.Bytes
	}
}

func TestNoAllocationPerStreamChunk(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	near := w.mustOpen(h, local(w.request(listener, 1), "127.0.0.1:0"))
	client := w.mustOpen(h, remote(w.request(tcp, 1), near.Local.AddrPort()))
	conn := w.endpoint()
	until(t, "accepted", func() (bool, error) { return Accept(near, conn) == nil, nil })
	w.runUntil("connected", func() bool { return client.TCPState.Load() == tcpConnected })
	tx := chunk(t, pattern(1, 16384))
	wantNoAllocation(t, "stream", func() {
		if status := Send(client, tx); status != 0 {
			t.Errorf("status %d", status)
		}
		w.drain(conn, tx.Total)
	})
}

func wantNoAllocation(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s and what it is received by allocate %v times", what, n)
	}
}
