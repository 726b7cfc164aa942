// SPDX-License-Identifier: MIT

package ossock

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// shared opens a listener that shares its port, and is named by one byte, which
// is the second of a datagram with a short header.
func (w *worker) shared(h *host, at string, name byte) *batch.Endpoint {
	w.t.Helper()
	req := local(w.request(udp, 1), at)
	req.CIBIR = batch.CIBIR{Length: 1, ID: [6]byte{name}}
	return w.mustOpen(h, req)
}

// short returns a datagram with a short header for a member.
func short(name byte, n int) []byte {
	return append([]byte{0x40, name}, bytes.Repeat([]byte{name}, n-2)...)
}

func TestSharedPort(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	a := w.shared(h, "[::]:4433", 1)
	b := w.shared(h, "[::]:4433", 2)
	client := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	for _, name := range []byte{1, 2, 2, 1} {
		if err := unix.Sendto(client, short(name, 50), 0, sockaddr(port(a, "127.0.0.1"))); err != nil {
			t.Fatal(err)
		}
	}
	w.runUntil("all are here", func() bool { return w.received() == 4 })
	w.wantDatagrams(a, [][]byte{short(1, 50), short(1, 50)})
	w.wantDatagrams(b, [][]byte{short(2, 50), short(2, 50)})
}

// The kernel looks at the first datagram of those that were coalesced. What is
// behind it and somebody else's is dropped and counted, wherever it is.
func TestCoalescedDatagramsOfOthersAreDropped(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	mine := w.shared(h, "[::]:4433", 1)
	other := w.shared(h, "[::]:4433", 2)
	client := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	const size = 100
	foreign := 0
	for round := range 8 {
		names := []byte{1}
		for i := range 7 {
			names = append(names, 1+byte((round>>(i%3))&1))
		}
		var all []byte
		for _, name := range names {
			all = append(all, short(name, size)...)
		}
		oob := cmsg(unix.SOL_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, size)...)
		before := len(w.seen[mine].got)
		if _, err := unix.SendmsgN(client, all, oob, sockaddr(port(mine, "127.0.0.1")), 0); err != nil {
			t.Fatal(err)
		}
		ours := slices.DeleteFunc(slices.Clone(names), func(n byte) bool { return n != 1 })
		foreign += len(names) - len(ours)
		w.runUntil("ours are here", func() bool { return len(w.seen[mine].got) == before+len(ours) })
	}
	if got := len(w.seen[other].got); got != 0 {
		t.Errorf("the other one got %d datagrams", got)
	}
	if got := w.seen[mine].dropped; got != foreign {
		t.Errorf("%d dropped, want %d", got, foreign)
	}
	for _, d := range w.seen[mine].got {
		if d.data[1] != 1 {
			t.Errorf("got a datagram for %d", d.data[1])
		}
	}
}

// Broadcasts reach every socket of a port, whatever the steering says.
func TestBroadcastIsForOneMember(t *testing.T) {
	h := newHost(t)
	far, _ := h.wire()
	w := newWorker(t)
	a := w.shared(h, "[::]:4433", 1)
	b := w.shared(h, "[::]:4433", 2)
	client := far.socket(unix.SOCK_DGRAM, "10.0.0.2:0")
	if err := unix.SetsockoptInt(client, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		t.Fatal(err)
	}
	far.do(func() error { return unix.Sendto(client, short(1, 60), 0, sockaddr(port(a, "10.0.0.255"))) })
	far.do(func() error { return unix.Sendto(client, short(2, 60), 0, sockaddr(port(a, "10.0.0.1"))) })
	w.runUntil("both are here", func() bool { return w.received() == 2 })
	w.wantDatagrams(a, [][]byte{short(1, 60)})
	w.wantDatagrams(b, [][]byte{short(2, 60)})
}
