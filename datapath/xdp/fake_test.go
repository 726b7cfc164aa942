// SPDX-License-Identifier: MIT

package xdp

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
)

// wire is a seat whose packets a test puts there and takes away.
type wire struct {
	arriving [][]byte // of the next turn
	turn     int      // how many of them it has
	room     int      // TX frames
	frames   [][]byte
	sent     [][]byte
	kicks    int
	left     int // submitted, and not yet taken
	takes    int // packets with each kick; 0: all
	freed    int // TX frames, by a kick
	down     bool
}

func (w *wire) FD() int { return -1 }

func (w *wire) Peek(limit int) int {
	w.turn = min(limit, len(w.arriving), pool.MaxTurn)
	return w.turn
}

func (w *wire) Packet(i int) []byte { return w.arriving[i] }

func (w *wire) Release() {
	for _, p := range w.arriving[:w.turn] { // it is others' memory again
		for i := range p {
			p[i] = 0xee
		}
	}
	w.arriving = w.arriving[w.turn:]
}

func (w *wire) Reserve(n int) int {
	n = min(n, w.room)
	w.frames = nil
	for range n {
		w.frames = append(w.frames, make([]byte, 1920))
	}
	return n
}

func (w *wire) Frame(i int) []byte { return w.frames[i] }

func (w *wire) Submit(packets []pool.Outgoing) {
	for i, p := range packets {
		w.sent = append(w.sent, w.frames[i][:p.Length])
	}
	w.room -= len(packets)
	w.left += len(packets)
}

func (w *wire) Kick() error {
	w.kicks++
	if w.down {
		return unix.ENETDOWN
	}
	w.room += w.freed
	if w.takes == 0 {
		w.left = 0
	}
	w.left -= min(w.left, max(w.takes, 0))
	return nil
}

func (w *wire) Backlog() int { return w.left }

// rig is a queue on a wire, and a turn that receives from it.
type rig struct {
	t     testing.TB
	wire  *wire
	queue *Queue
	ep    *batch.Endpoint
	pool  *blocktest.Pool
	turn  *batch.Turn
	names []byte // whose addresses stand for sockets
}

func newRig(t testing.TB) *rig {
	w := &wire{room: 1024}
	p := blocktest.NewPool(t, 8)
	return &rig{
		t: t, wire: w, queue: &Queue{engine: &Engine{net: &network{}}, seat: w, checksum: frame.Full},
		ep:   &batch.Endpoint{Kind: batch.KindQueue, Partition: 3, Queue: unsafe.Pointer(new(int))},
		pool: p, turn: p.NewTurn(), names: make([]byte, 1000),
	}
}

// socket returns what stands for socket i in CXPLAT_ROUTE.Queue.
func (r *rig) socket(i int) unsafe.Pointer { return unsafe.Pointer(&r.names[i]) }

var (
	hostIP = frame.From4([4]byte{10, 0, 0, 1})
	peerIP = frame.From4([4]byte{10, 0, 0, 2})
)

// packet makes a frame from the peer.
func packet(t testing.TB, from, to uint16, payload string) []byte {
	t.Helper()
	flow := frame.Flow{
		SourceMAC: frame.MAC{2, 0, 0, 0, 0, 2}, DestinationMAC: frame.MAC{2, 0, 0, 0, 0, 1},
		Source: peerIP, Destination: hostIP, SourcePort: from, DestinationPort: to, TrafficClass: 0xb9,
	}
	var h frame.Headers
	if err := h.Set(&flow); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, h.Len()+len(payload))
	copy(b[h.Len():], payload)
	if err := h.Put(b, frame.Full); err != nil {
		t.Fatal(err)
	}
	return b
}
