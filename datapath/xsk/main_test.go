// SPDX-License-Identifier: MIT

package xsk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// limit bounds the wait for what must happen.
const limit = 10 * time.Second

// etherType is an experimental one: no kernel takes it up.
const etherType = 0x88b5

// slotAt is where in a test packet stands the XSKMAP slot that it is for.
const slotAt = 14

func TestMain(m *testing.M) {
	if os.Getenv(memberEnv) != "" {
		memberMain()
		return
	}
	os.Exit(m.Run())
}

// wire is a veth pair between two network namespaces. At its right end an XDP
// program redirects test packets to the sockets of a map.
type wire struct {
	left, right netnstest.End
	sockets     *ebpf.Map
}

// newWire also checks that the test leaks no descriptor.
func newWire(t testing.TB, mode link.XDPAttachFlags) *wire {
	t.Helper()
	netnstest.CheckFDs(t)
	w := &wire{
		left:  netnstest.End{NS: netnstest.New(t), Name: "l0"},
		right: netnstest.End{NS: netnstest.New(t), Name: "r0"},
	}
	netnstest.Veth(t, &w.left, &w.right)
	w.sockets = newRedirect(t, &w.right, mode)
	return w
}

// newRedirect attaches the program.
func newRedirect(t testing.TB, end *netnstest.End, mode link.XDPAttachFlags) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 256})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: redirect(m)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	end.NS.Do(t, func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: end.Index, Flags: mode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	return m
}

// redirect passes everything but test packets for slots that have a socket.
func redirect(sockets *ebpf.Map) asm.Instructions {
	const pass = 2
	return asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R7, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Add.Imm(asm.R1, slotAt+1),
		asm.JGT.Reg(asm.R1, asm.R7, "pass"),
		asm.LoadMem(asm.R1, asm.R6, 12, asm.Half),
		asm.JNE.Imm(asm.R1, etherType>>8|etherType&0xff<<8, "pass"),
		asm.LoadMem(asm.R2, asm.R6, slotAt, asm.Byte),
		asm.LoadMapPtr(asm.R1, sockets.FD()),
		asm.Mov.Imm(asm.R3, pass),
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, pass).WithSymbol("pass"),
		asm.Return(),
	}
}

// serve puts a socket into a slot of the map.
func (w *wire) serve(t testing.TB, slot uint32, s *Socket) {
	t.Helper()
	if err := w.sockets.Put(slot, uint32(s.FD())); err != nil {
		t.Fatal(err)
	}
}

// Sizes of the tests' queues: half of the chunks are for RX, half for TX.
const (
	testChunk  = 2048
	testChunks = 512
	rxChunks   = testChunks / 2
	txChunks   = testChunks - rxChunks
	ringSize   = 512 // of every ring
)

// queue is one end of a wire, with a UMEM and its first socket.
type queue struct {
	*Socket
	umem *UMEM
	fill *SharedFill
	done *SharedCompletion
}

func newUMEM(t testing.TB) *UMEM {
	t.Helper()
	_, memory := sharedFile(t, testChunks*testChunk)
	return &UMEM{Memory: memory, Chunk: testChunk}
}

// sharedFile makes memory that other processes can map too.
func sharedFile(t testing.TB, size int) (fd int, memory []byte) {
	t.Helper()
	fd, err := unix.MemfdCreate("xsk test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		t.Fatal(err)
	}
	memory, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(memory) })
	return fd, memory
}

// wordsOf takes memory for words.
func wordsOf(memory []byte) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(&memory[0])), len(memory)/4)
}

func testConfig(end *netnstest.End) Config {
	return Config{
		Interface: end.Index,
		RX:        ringSize, TX: ringSize, Fill: ringSize, Completion: ringSize,
		Patience: time.Second,
	}
}

// create makes the first socket of an end, with all RX chunks in FILL.
func create(t testing.TB, end *netnstest.End, umem *UMEM) *queue {
	t.Helper()
	return createWith(t, end, umem, make([]uint32, txChunks))
}

func createWith(t testing.TB, end *netnstest.End, umem *UMEM, words []uint32) *queue {
	t.Helper()
	q := newQueue(t, end, umem, words, func() (*Socket, error) { return Create(umem, ModeAny, testConfig(end)) })
	if n := q.fill.Push(rxAddresses()); n != rxChunks {
		t.Fatalf("pushed %d of %d chunks", n, rxChunks)
	}
	return q
}

// createEmpty leaves FILL empty, and changes the configuration first.
func createEmpty(t testing.TB, end *netnstest.End, change func(*Config)) *queue {
	t.Helper()
	umem, c := newUMEM(t), testConfig(end)
	change(&c)
	return newQueue(t, end, umem, make([]uint32, txChunks), func() (*Socket, error) { return Create(umem, ModeCopy, c) })
}

// join makes one more socket of the same end.
func (q *queue) join(t testing.TB, end *netnstest.End) *queue {
	t.Helper()
	return newQueue(t, end, q.umem, q.done.words, func() (*Socket, error) { return Join(q.FD(), testConfig(end)) })
}

// newQueue opens a socket inside the namespace of an end.
func newQueue(t testing.TB, end *netnstest.End, umem *UMEM, words []uint32, open func() (*Socket, error)) (q *queue) {
	t.Helper()
	end.NS.Do(t, func() error {
		s, err := open()
		if err != nil {
			return err
		}
		t.Cleanup(func() { s.Close() })
		q, err = share(s, umem, words)
		return err
	})
	return q
}

func share(s *Socket, umem *UMEM, words []uint32) (*queue, error) {
	fill, err := NewSharedFill(s.Fill, umem.Chunk)
	if err != nil {
		return nil, err
	}
	done, err := NewSharedCompletion(s.Completion, words, rxChunks, umem.Chunk)
	return &queue{Socket: s, umem: umem, fill: fill, done: done}, err
}

func rxAddresses() []uint64 {
	chunks := make([]uint64, rxChunks)
	for i := range chunks {
		chunks[i] = uint64(i) * testChunk
	}
	return chunks
}

// packet makes a test packet for a slot, that carries a number.
func packet(slot byte, number uint32, size int) []byte {
	p := make([]byte, size)
	copy(p, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1})
	binary.BigEndian.PutUint16(p[12:], etherType)
	p[slotAt] = slot
	binary.BigEndian.PutUint32(p[slotAt+1:], number)
	return p
}

// number of a test packet.
func number(p []byte) uint32 { return binary.BigEndian.Uint32(p[slotAt+1:]) }

// raw opens a packet socket at an end, which sends and receives test packets.
func raw(t testing.TB, end *netnstest.End) (fd int) {
	t.Helper()
	end.NS.Do(t, func() (err error) {
		protocol := uint16(etherType>>8 | etherType&0xff<<8)
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(protocol))
		if err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(fd) })
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: end.Index})
		if err == nil {
			err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(limit / time.Second)})
		}
		return err
	})
	return fd
}

// send sends packets from a packet socket.
func send(t testing.TB, fd int, packets ...[]byte) {
	t.Helper()
	for _, p := range packets {
		if _, err := unix.Write(fd, p); err != nil {
			t.Fatal(err)
		}
	}
}

// poll waits until the socket has something in RX.
func (s *Socket) poll(t testing.TB) {
	t.Helper()
	if err := waitReadable(s.fd); err != nil {
		t.Fatal(err)
	}
}

func waitReadable(fd int) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(limit/time.Millisecond))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return errors.New("nothing came")
		default:
			return nil
		}
	}
}

// receive takes n packets.
func (q *queue) receive(t testing.TB, n int) (packets [][]byte) {
	t.Helper()
	for len(packets) < n {
		q.poll(t)
		more, err := q.turn()
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, more...)
	}
	if len(packets) != n {
		t.Errorf("%d packets, want %d", len(packets), n)
	}
	return packets
}

// turn takes what is there, in the order of a pool: copy out, push to FILL, release.
func (q *queue) turn() (packets [][]byte, err error) {
	descs := make([]Desc, batch)
	descs = descs[:q.RX.Peek(descs)]
	var chunks []uint64
	for _, d := range descs {
		p, chunk, ok := q.umem.Packet(d)
		if !ok || chunk >= rxChunks {
			return nil, fmt.Errorf("descriptor %+v", d)
		}
		packets = append(packets, slices.Clone(p))
		chunks = append(chunks, d.Addr)
	}
	if pushed := q.fill.Push(chunks); pushed != len(chunks) {
		return nil, fmt.Errorf("pushed %d of %d chunks", pushed, len(chunks))
	}
	q.RX.Release(len(descs))
	return packets, nil
}
