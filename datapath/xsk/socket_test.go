// SPDX-License-Identifier: MIT

package xsk

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inBothModes runs a test over a wire with native XDP, and over one with generic.
func inBothModes(t *testing.T, f func(t *testing.T, w *wire)) {
	for _, attach := range attachModes {
		t.Run(attach.name, func(t *testing.T) { f(t, newWire(t, attach.mode)) })
	}
}

// wantNumbers checks that packets carry numbers from first on.
func wantNumbers(t testing.TB, packets [][]byte, first uint32) {
	t.Helper()
	for i, p := range packets {
		if number(p) != first+uint32(i) {
			t.Fatalf("packet %d carries %d, want %d", i, number(p), first+uint32(i))
		}
	}
}

func TestReceive(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *wire) {
		q := create(t, &w.right, newUMEM(t))
		w.serve(t, 0, q.Socket)
		sender := raw(t, &w.left)
		for turn := range uint32(30) { // several times around every ring
			for i := range uint32(50) {
				send(t, sender, packet(0, 50*turn+i, 60+int(i)*29))
			}
			packets := q.receive(t, 50)
			wantNumbers(t, packets, 50*turn)
			for i, p := range packets {
				if len(p) != 60+i*29 {
					t.Fatalf("packet %d has %d bytes", i, len(p))
				}
			}
		}
		q.wantAllChunks(t)
		if s, err := q.Statistics(); err != nil || s != (Statistics{TXEmpty: s.TXEmpty}) {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// wantAllChunks checks that all RX chunks are in FILL, each once.
func (q *queue) wantAllChunks(t testing.TB) {
	t.Helper()
	chunks := q.fill.Pending(nil)
	slices.Sort(chunks)
	if !slices.Equal(chunks, rxAddresses()) {
		t.Errorf("%d chunks in FILL, %d of them different; want %d", len(chunks), len(slices.Compact(chunks)), rxChunks)
	}
}

func TestHeadroom(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *wire) {
		umem := newUMEM(t)
		umem.Headroom = 64
		q := create(t, &w.right, umem)
		w.serve(t, 0, q.Socket)
		send(t, raw(t, &w.left), packet(0, 1, 64))
		q.poll(t)
		descs := make([]Desc, 2)
		if n := q.RX.Peek(descs); n != 1 || descs[0].Addr%testChunk != Headroom+64 || descs[0].Options != 0 {
			t.Errorf("%d packets, the first %+v", n, descs[0])
		}
	})
}

func TestTwoSocketsShareAUMEM(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *wire) {
		first := create(t, &w.right, newUMEM(t))
		second := first.join(t, &w.right)
		w.serve(t, 0, first.Socket)
		w.serve(t, 1, second.Socket)
		sender, sink := raw(t, &w.left), raw(t, &w.left)
		for turn := range uint32(10) {
			for i := range uint32(60) {
				send(t, sender, packet(byte(i%2), 30*turn+i/2, 64))
			}
			wantNumbers(t, first.receive(t, 30), 30*turn)
			wantNumbers(t, second.receive(t, 30), 30*turn)
		}
		first.wantAllChunks(t)

		// Each sends with chunks of its own, and reaps for both.
		first.transmit(t, rxChunks, packet(9, 1, 64))
		second.transmit(t, rxChunks+1, packet(9, 2, 64))
		wantNumbers(t, [][]byte{read(t, sink), read(t, sink)}, 1)
		if n := second.done.Reap(10); n != 2 || first.done.Busy(rxChunks) || first.done.Busy(rxChunks+1) {
			t.Errorf("reaped %d of 2; busy %v, %v", n, first.done.Busy(rxChunks), first.done.Busy(rxChunks+1))
		}

		// The second outlives the first.
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		for i := range uint32(2 * rxChunks) {
			send(t, sender, packet(1, i, 64))
			wantNumbers(t, second.receive(t, 1), i)
		}
		third := second.join(t, &w.right)
		w.serve(t, 0, third.Socket)
		send(t, sender, packet(0, 7, 64))
		wantNumbers(t, third.receive(t, 1), 7)
		third.wantAllChunks(t)
	})
}

// transmit sends a packet from the middle of a chunk.
func (q *queue) transmit(t testing.TB, chunk uint32, p []byte) {
	t.Helper()
	d := Desc{Addr: uint64(chunk)*testChunk + 100, Len: uint32(len(p))}
	memory, _, _ := q.umem.Packet(d)
	copy(memory, p)
	q.done.Begin(chunk)
	if n := q.TX.Submit([]Desc{d}); n != 1 {
		t.Fatal("TX is full")
	}
	if err := q.Transmit(); err != 0 {
		t.Fatal(err)
	}
}

// read reads a packet from a packet socket.
func read(t testing.TB, fd int) []byte {
	t.Helper()
	p := make([]byte, 4096)
	n, err := unix.Read(fd, p)
	if err != nil {
		t.Fatal(err)
	}
	return p[:n]
}

func TestTransmit(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *wire) {
		q := create(t, &w.right, newUMEM(t))
		if !q.TX.NeedWakeup() || q.fill.NeedWakeup() {
			t.Errorf("copy mode: TX needs wake-ups %v, FILL %v", q.TX.NeedWakeup(), q.fill.NeedWakeup())
		}
		if zeroCopy, err := q.ZeroCopy(); zeroCopy || err != nil {
			t.Errorf("zero-copy on veth: %v, %v", zeroCopy, err)
		}
		sink := raw(t, &w.left)
		for i := range uint32(3 * ringSize) {
			chunk, size := rxChunks+i%txChunks, 60+int(i)%1400
			if q.done.Busy(chunk) {
				t.Fatalf("chunk %d is busy", chunk)
			}
			q.transmit(t, chunk, packet(0, i, size))
			if p := read(t, sink); number(p) != i || len(p) != size {
				t.Fatalf("packet %d of %d bytes, want %d of %d", number(p), len(p), i, size)
			}
			if n := q.done.Reap(64); n != 1 {
				t.Fatalf("reaped %d of 1", n)
			}
		}
	})
}

// TestBudget sends more than fits into one call.
func TestBudget(t *testing.T) {
	w := newWire(t, attachModes[0].mode)
	for _, test := range []struct {
		budget uint32
		calls  []int // what each completes
	}{{0, []int{32, 32, 32, 4}}, {64, []int{64, 36}}, {128, []int{100}}} {
		s := createEmpty(t, &w.right, func(c *Config) { c.TXBudget = test.budget })
		descs := make([]Desc, 100)
		for i := range descs {
			descs[i] = Desc{Addr: uint64(rxChunks+i) * testChunk, Len: 64}
			s.done.Begin(uint32(rxChunks + i))
		}
		s.TX.Submit(descs)
		for i, want := range test.calls {
			wantErrno := unix.EAGAIN
			if i == len(test.calls)-1 {
				wantErrno = 0
			}
			if err := s.Transmit(); err != wantErrno {
				t.Errorf("budget %d, call %d: errno %v, want %v", test.budget, i, err, wantErrno)
			}
			if n := s.done.Reap(200); n != want {
				t.Errorf("budget %d, call %d: sent %d, want %d", test.budget, i, n, want)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSocketOfOneDirection(t *testing.T) {
	w := newWire(t, attachModes[0].mode)
	receiver := createEmpty(t, &w.right, func(c *Config) { c.TX = 0 })
	if receiver.TX != nil || receiver.RX == nil {
		t.Errorf("TX %v, RX %v", receiver.TX, receiver.RX)
	}
	receiver.Close()
	sender := createEmpty(t, &w.right, func(c *Config) { c.RX = 0 })
	if sender.RX != nil || sender.TX == nil {
		t.Errorf("RX %v, TX %v", sender.RX, sender.TX)
	}
	if err := sender.Close(); err != nil {
		t.Error(err)
	}
	if err := sender.Close(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestStatistics(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *wire) {
		q := createEmpty(t, &w.right, func(c *Config) { c.RX = 64 })
		w.serve(t, 0, q.Socket)
		sender := raw(t, &w.left)
		check := func(what string, want Statistics) {
			t.Helper()
			got, err := q.Statistics()
			got.TXEmpty, got.FillEmpty = 0, min(got.FillEmpty, 1)
			if err != nil || got != want {
				t.Errorf("%s: %+v, %v; want %+v", what, got, err, want)
			}
		}
		send(t, sender, packet(0, 0, 64))
		check("without chunks", Statistics{RXDropped: 1, FillEmpty: 1})

		q.fill.Push(rxAddresses())
		for i := range uint32(70) {
			send(t, sender, packet(0, i, 64))
		}
		check("with a full RX ring", Statistics{RXDropped: 1, FillEmpty: 1, RXRingFull: 6})

		bad := []Desc{{Addr: testChunks * testChunk, Len: 64}, {Addr: testChunk - 1, Len: 64}, {Addr: 0, Len: 0}, {Addr: 0, Len: 64, Options: 1 << 9}}
		q.TX.Submit(bad)
		for calls := 0; q.TX.Len() > 0 && calls < len(bad); calls++ { // one ends a call
			if err := q.Transmit(); err != 0 {
				t.Error(err)
			}
		}
		check("with bad descriptors in TX", Statistics{RXDropped: 1, FillEmpty: 1, RXRingFull: 6, TXInvalid: 4})
	})
}

// Where a packet is dropped because the RX ring is full, generic XDP keeps its chunk
// for the next packet, whoever is to get it: one chunk may be in no ring.
func TestChunkThatIsInNoRing(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *wire) {
		q := createEmpty(t, &w.right, func(c *Config) { c.RX = 64 })
		other := q.join(t, &w.right)
		w.serve(t, 0, q.Socket)
		w.serve(t, 1, other.Socket)
		q.fill.Push(rxAddresses())
		sender := raw(t, &w.left)
		for i := range uint32(70) {
			send(t, sender, packet(0, i, 64))
		}
		missing := rxChunks - len(q.fill.Pending(nil)) - len(q.RX.Pending(nil))
		if missing > 1 {
			t.Errorf("%d chunks are in no ring", missing)
		}
		taken := q.fill.Taken()
		send(t, sender, packet(1, 0, 64))
		other.receive(t, 1)
		if n := int(q.fill.Taken() - taken); n != 1-missing {
			t.Errorf("the next packet took %d chunks from FILL, with %d in no ring", n, missing)
		}
		q.receive(t, 64)
		q.wantAllChunks(t)
	})
}

func TestViewOfAnothersRX(t *testing.T) {
	w := newWire(t, attachModes[0].mode)
	q := create(t, &w.right, newUMEM(t))
	w.serve(t, 0, q.Socket)
	view, err := ViewRX(q.FD(), ringSize)
	if err != nil {
		t.Fatal(err)
	}
	sender := raw(t, &w.left)
	for turn := range uint32(20) {
		for i := range uint32(40) {
			send(t, sender, packet(0, 40*turn+i, 64))
		}
		q.poll(t)
		seen, own := view.Pending(nil), q.RX.Pending(nil)
		if len(seen) != 40 || !slices.Equal(seen, own) {
			t.Fatalf("seen %d of %d", len(seen), len(own))
		}
		q.receive(t, 40)
		if n := len(view.Pending(nil)); n != 0 {
			t.Fatalf("%d pending after all were released", n)
		}
	}
	for _, err := range []error{view.Close(), view.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
}

// A queue is released some time after its last socket is closed.
func TestCreateAgain(t *testing.T) {
	w := newWire(t, attachModes[0].mode)
	umem := newUMEM(t)
	for range 5 {
		q := create(t, &w.right, umem)
		start := time.Now()
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("close took %v", time.Since(start))
	}
}
