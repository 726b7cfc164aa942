// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// memberEnv makes the test program play a member: "INTERFACE SLOT". Behind the standard
// descriptors it finds the donor, the UMEM, the words of TX chunks, and the XSKMAP.
const memberEnv = "XSK_TEST_MEMBER"

// memberMain joins, says "ready", works until its standard input ends, and says what it
// has seen.
func memberMain() {
	if err := member(os.Getenv(memberEnv)); err != nil {
		fmt.Fprintln(os.Stderr, "member:", err)
		os.Exit(1)
	}
}

func member(what string) error {
	var slot, index int
	if _, err := fmt.Sscan(what, &index, &slot); err != nil {
		return err
	}
	m, err := joinAs(index, slot)
	if err != nil {
		return err
	}
	var ended atomic.Bool
	go func() {
		io.Copy(io.Discard, os.Stdin)
		ended.Store(true)
	}()
	fmt.Println("ready")
	if err := m.work(&ended); err != nil {
		return err
	}
	s, err := m.Statistics()
	fmt.Println(m.received, s.RXDropped+s.RXRingFull)
	return err
}

// joinAs joins the sockets behind the descriptors of a member process.
func joinAs(index, slot int) (*worker, error) {
	memory, err := unix.Mmap(4, 0, testChunks*testChunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	words, err := unix.Mmap(5, 0, 4*txChunks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	s, err := Join(3, Config{Interface: index, RX: ringSize, TX: ringSize, Fill: ringSize, Completion: ringSize})
	if err != nil {
		return nil, err
	}
	q, err := share(s, &UMEM{Memory: memory, Chunk: testChunk}, wordsOf(words))
	if err != nil {
		return nil, err
	}
	sockets, err := ebpf.NewMapFromFD(6)
	if err != nil {
		return nil, err
	}
	return &worker{queue: q, slot: slot}, sockets.Put(uint32(slot), uint32(s.FD()))
}

// worker is a member at work: it receives what is for its slot, and sends with a
// share of the TX chunks.
type worker struct {
	*queue
	slot     int
	received int
	last     uint32 // number of the last packet
}

const workerChunks = 32 // of each slot's worker

// work works until it is told to end, and RX is empty.
func (m *worker) work(end *atomic.Bool) error {
	for {
		ended := end.Load()
		packets, err := m.turn()
		if err != nil {
			return err
		}
		for _, p := range packets {
			if p[slotAt] != byte(m.slot) || number(p) <= m.last {
				return fmt.Errorf("packet %d for slot %d reached slot %d after %d", number(p), p[slotAt], m.slot, m.last)
			}
			m.last = number(p)
		}
		m.received += len(packets)
		if ended && len(packets) == 0 {
			return m.land()
		}
		if err := m.send(); err != nil {
			return err
		}
	}
}

// send sends with all chunks that are free, and reaps for everybody.
func (m *worker) send() error {
	first := uint32(rxChunks + workerChunks*m.slot)
	var descs []Desc
	for chunk := first; chunk < first+workerChunks; chunk++ {
		if m.done.Busy(chunk) {
			continue
		}
		d := Desc{Addr: uint64(chunk) * testChunk, Len: 64}
		memory, _, _ := m.umem.Packet(d)
		copy(memory, packet(9, chunk, 64))
		m.done.Begin(chunk)
		descs = append(descs, d)
	}
	if n := m.TX.Submit(descs); n != len(descs) {
		return fmt.Errorf("TX took %d of %d", n, len(descs))
	}
	if err := m.Transmit(); err != 0 && err != unix.EAGAIN && err != unix.EBUSY {
		return err
	}
	m.done.Reap(ringSize)
	return nil
}

// land waits until no chunk is in flight any more.
func (m *worker) land() error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		m.Transmit()
		m.done.Reap(ringSize)
		busy := 0
		for i := range uint32(workerChunks) {
			if m.done.Busy(rxChunks + workerChunks*uint32(m.slot) + i) {
				busy++
			}
		}
		if busy == 0 && m.TX.Len() == 0 {
			return nil
		}
	}
	return fmt.Errorf("chunks of slot %d stay in flight, %d packets in TX", m.slot, m.TX.Len())
}

// startMember starts a member beside the sockets of q, and waits until it works.
func (w *wire) startMember(t *testing.T, q *queue, files []int, slot int) *netnstest.Child {
	t.Helper()
	fds := append([]int{q.FD()}, files...)
	return w.right.NS.StartChild(t, fmt.Sprintf("%s=%d %d", memberEnv, w.right.Index, slot), fds...)
}

// traffic sends packets to slots 0 and 1 in turn, until it is told to end.
func traffic(t *testing.T, fd int, first uint32, end *atomic.Bool) (sent uint32) {
	for !end.Load() {
		for range 16 {
			sent++
			send(t, fd, packet(byte(sent%2), first+sent, 64))
		}
		time.Sleep(50 * time.Microsecond) // for two processors that three processes share
	}
	return sent
}

// shared is a queue whose memory other processes can have: files are the descriptors
// of its UMEM, its words and the XSKMAP.
func (w *wire) shared(t *testing.T) (q *queue, files []int) {
	t.Helper()
	umem, memory := sharedFile(t, testChunks*testChunk)
	flights, words := sharedFile(t, 4*txChunks)
	q = createWith(t, &w.right, &UMEM{Memory: memory, Chunk: testChunk}, wordsOf(words))
	w.serve(t, 0, q.Socket)
	return q, []int{umem, flights, w.sockets.FD()}
}

func TestTwoProcessesShareAUMEM(t *testing.T) {
	inBothModes(t, func(t *testing.T, w *wire) {
		q, files := w.shared(t)
		first := &worker{queue: q}
		second := w.startMember(t, q, files, 1)
		var end, noMore atomic.Bool
		var running sync.WaitGroup
		running.Go(func() {
			if err := first.work(&end); err != nil {
				t.Error(err)
			}
		})
		var sent uint32
		sender := raw(t, &w.left)
		running.Go(func() { sent = traffic(t, sender, 0, &noMore) })
		time.Sleep(300 * time.Millisecond)
		noMore.Store(true)
		second.Stdin.Close()
		var received, dropped int
		if _, err := fmt.Fscan(second.Stdout, &received, &dropped); err != nil {
			t.Fatal(err)
		}
		end.Store(true)
		running.Wait()
		if err := second.Wait(); err != nil {
			t.Error(err)
		}
		s, err := q.Statistics()
		if all := first.received + received + dropped + int(s.RXDropped+s.RXRingFull); all != int(sent) || err != nil {
			t.Errorf("%d sent; received %d + %d, dropped %d + %d; %v", sent, first.received, received, s.RXDropped+s.RXRingFull, dropped, err)
		}
		t.Logf("%d sent; received %d + %d", sent, first.received, received)
		q.wantAllChunks(t)
	})
}

// TestKilledProcess kills a member at work, again and again, and accounts for its
// chunks.
func TestKilledProcess(t *testing.T) {
	w := newWire(t, attachModes[0].mode)
	q, files := w.shared(t)
	first := &worker{queue: q}
	sender := raw(t, &w.left)
	lost := 0
	for round := range uint32(10) {
		second := w.startMember(t, q, files, 1)
		var end, noMore atomic.Bool
		var running, sending sync.WaitGroup
		running.Go(func() {
			if err := first.work(&end); err != nil {
				t.Error(err)
			}
		})
		sending.Go(func() { traffic(t, sender, round<<20, &noMore) })
		time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Millisecond))))
		second.Kill()
		noMore.Store(true)
		sending.Wait()
		end.Store(true)
		running.Wait()

		for q.done.Reap(ringSize) > 0 {
		}
		for i := range uint32(workerChunks) {
			q.done.Abandon(rxChunks + workerChunks + i)
		}
		in := map[uint64]bool{}
		for _, chunk := range q.fill.Pending(nil) {
			in[chunk] = true
		}
		for _, chunk := range rxAddresses() {
			if !in[chunk] {
				lost += q.fill.Push([]uint64{chunk})
			}
		}
		q.wantAllChunks(t)
	}
	t.Logf("%d chunks were lost and found", lost)
}
