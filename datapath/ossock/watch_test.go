// SPDX-License-Identifier: MIT

package ossock

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
)

func TestWatchBeginsWithInput(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	for _, kind := range []uint8{udp, listener} {
		req := w.request(kind, 1)
		ep := req.Endpoints()[0]
		h.do(func() error { return Open(req) })
		if _, ok := watched(t, ep); ok || ep.Watched != 0 {
			t.Error("watched before Watch")
		}
		if err := Watch(ep); err != nil {
			t.Fatal(err)
		}
		wantWatched(t, ep, unix.EPOLLIN)
	}
}

func TestWatchOfAConnectingEndpointWaitsForTheConnection(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep := w.mustOpen(h, remote(w.request(tcp, 1), nameOf(t, h.plainListener("127.0.0.1:0"))))
	wantWatched(t, ep, unix.EPOLLIN|unix.EPOLLOUT)
}

// A send that waits already is taken up by the first event.
func TestWatchTakesUpWhatWaits(t *testing.T) {
	p := newPipe(t)
	defer p.close()
	tx, sent := p.fill(t, 0)
	for range sent {
		p.read(t)
	}
	if err := Watch(p.ep); err != nil {
		t.Fatal(err)
	}
	wantWatched(t, p.ep, unix.EPOLLIN|unix.EPOLLOUT)
	if done, _ := p.turn(t, 1000); done != tx {
		t.Error("the send that waited is not done")
	}
	wantWatched(t, p.ep, unix.EPOLLIN)
}

func TestWatchRefusedSaysWhy(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep := w.server(h)
	wantError(t, Watch(ep), unix.EEXIST, fmt.Sprintf("epoll_ctl(ADD socket %d to queue %d)", ep.FD, ep.EventQ), "fs.epoll.max_user_watches")

	other := blocktest.Request(udp, blocktest.NewEndpoint(-1))
	h.do(func() error { return Open(other) })
	ep = other.Endpoints()[0]
	defer Close(ep)
	wantError(t, Watch(ep), unix.EBADF, "epoll_ctl(")
	if ep.Watched != 0 {
		t.Error("an endpoint that was refused counts as watched")
	}
	Quiesce(ep) // as C does then
}

func TestQuiesceStopsEvents(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep := w.server(h)
	superFrame{1, 1, 10, 10}.send(t, h.socket(unix.SOCK_DGRAM, "127.0.0.1:0"), port(ep, "127.0.0.1"))
	if len(w.wait(patience)) != 1 {
		t.Fatal("no event")
	}
	for range 2 {
		Quiesce(ep)
		if n := len(w.wait(quiet)); n != 0 {
			t.Errorf("%d events", n)
		}
	}
	w.once(ep, unix.EPOLLIN) // harvested before: what came is still delivered
	w.wantDatagrams(ep, superFrame{1, 1, 10, 10}.cut())
}

func TestQuiesceAndCloseOfWhatIsNotOpen(t *testing.T) {
	ep := blocktest.NewEndpoint(-1)
	ep.Kind = batch.KindTCP
	Quiesce(ep)
	if Close(ep) != nil || ep.FD != -1 || ep.SpareFD != -1 {
		t.Errorf("%+v", ep)
	}
}
