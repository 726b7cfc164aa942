// SPDX-License-Identifier: MIT

package steering

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/fuzztest"
)

// The kernel runs the program for datagrams that reach sockets, and in no other way: they come over loopback, many in
// a system call. batch is how many are on their way at once: fewer than the kernel's queue for loopback takes.
const (
	batch   = 256
	longest = 400 // datagram
)

var duelEncodings = []cibir.Encoding{
	narrow, usual, {Length: 6, SourceOffset: 9, DestinationOffset: 9}, {Length: 20}, {Length: 8, SourceOffset: 1},
	{Length: 1, SourceOffset: 254, DestinationOffset: 254},
}

// duel lets the program and the model judge the same datagrams, many of them. What a socket gets is compared byte for
// byte, in order; how datagrams are counted, in the sum of each batch.
type duel struct {
	*model
	random *rand.Rand
	cpu    int
	kinds  [][]byte
	sent   mail
	got    mail
	expect map[int][][]byte // by socket
	met    Counters
}

// The program in the kernel does what the model does, with datagrams of all kinds, while members come, go and die.
func TestDifferential(t *testing.T) {
	run := fuzztest.Start(t)
	var work sync.WaitGroup
	var all []*duel
	for n, cpu := range someCPUs(t, 2) {
		var duels []*duel
		for _, e := range duelEncodings {
			duels = append(duels, newDuel(t, e, cpu, rand.New(rand.NewPCG(run.Seed, uint64(n)))))
		}
		all = append(all, duels...)
		work.Go(func() {
			defer endAll(duels)
			onCPU(t, cpu)
			for i := 0; !t.Failed() && run.More(batch*min(i, 1)); i++ {
				duels[i%len(duels)].round()
			}
		})
	}
	work.Wait()
	run.Report(t, "reuseport")
	var met Counters
	for _, d := range all {
		met = met.plus(d.met)
	}
	t.Logf("%+v", met)
	if !run.Long() {
		return
	}
	if met.Delivered == 0 || met.TooShort == 0 || met.NoIdentifier == 0 || met.UnknownIdentifier == 0 || met.DeadMember == 0 {
		t.Error("there were not datagrams of every kind")
	}
}

// endAll lets all members die.
func endAll(duels []*duel) {
	for _, d := range duels {
		for slot := range d.alive {
			d.end(slot)
		}
	}
}

// someCPUs returns up to n of those that this process may use.
func someCPUs(t *testing.T, n int) (list []int) {
	t.Helper()
	onEachCPU(t, func(cpu int) { list = append(list, cpu) })
	return list[:min(n, len(list))]
}

// onCPU binds the calling goroutine, for good, to a thread on that CPU, which ends with it.
func onCPU(t *testing.T, cpu int) {
	runtime.LockOSThread()
	var one unix.CPUSet
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Error(err)
	}
}

func newDuel(t *testing.T, e cibir.Encoding, cpu int, random *rand.Rand) *duel {
	p := newPort(t, e)
	p.sockets(1) // in the group and in no slot: must never get anything
	d := &duel{
		model: &model{p, map[cibir.ID]uint32{}, map[uint32]cibir.ID{}, map[uint32][]int{}}, random: random, cpu: cpu,
		expect: map[int][][]byte{},
	}
	for n := range fewIDs + 1 {
		id := identifier(e.Length, n)
		long, end := long(e, id), 1+int(e.DestinationOffset)+int(e.Length)
		d.kinds = append(d.kinds, long, long[:random.IntN(len(long))], short(e, id), short(e, id), short(e, id)[:end],
			short(e, id)[:end-1], header(filler(uint8(40*n))))
	}
	d.sent.init()
	d.got.init()
	return d
}

// change lets a member come, leave or die.
func (d *duel) change() {
	slot := uint32(d.random.IntN(fewSlots))
	id := identifier(d.p.g.Encoding().Length, d.random.IntN(fewIDs))
	at, leads := d.leads[id]
	switch alive := d.alive[slot] != nil; {
	case alive && d.random.IntN(4) == 0:
		d.end(slot)
	case alive && d.random.IntN(4) == 0:
		if err := d.p.g.Withdraw(slot, d.serves[slot]); err != nil {
			d.p.t.Error(err)
		}
		d.forget(slot)
		delete(d.serves, slot)
		d.end(slot)
	case !alive && (!leads || d.alive[at] == nil):
		d.alive[slot] = d.p.publish(slot, id, 1+d.random.IntN(3))
		d.forget(slot)
		d.leads[id], d.serves[slot] = slot, id
	}
}

// round changes something now and then, and has one batch judged.
func (d *duel) round() {
	if d.random.IntN(8) == 0 {
		d.change()
	}
	clear(d.expect)
	before := d.p.counters()
	var want Counters
	for i := range d.sent.list {
		datagram := fuzztest.Damage(d.random, append(d.sent.bytes[i][:0], d.kinds[d.random.IntN(len(d.kinds))]...), 0)
		d.sent.set(i, len(datagram))
		how, sockets := d.model.expect(datagram)
		want = want.plus(how)
		if sockets != nil {
			fd := sockets[d.cpu%len(sockets)]
			d.expect[fd] = append(d.expect[fd], datagram)
		}
	}
	d.met = d.met.plus(want)
	d.sent.send(d.p.t, d.p.v4, address4, d.sent.list[:batch/2])
	d.sent.send(d.p.t, d.p.v6, address6, d.sent.list[batch/2:])
	if got := d.p.judged(before, batch); got != want {
		d.p.t.Errorf("%v: counted as %+v, want %+v", d.p.g.Encoding(), got, want)
	}
	for _, sockets := range d.alive {
		for _, fd := range sockets {
			d.receive(fd)
		}
	}
	if d.random.IntN(16) == 0 {
		d.p.wantSilence()
	}
}

// receive compares what a socket has got.
func (d *duel) receive(fd int) {
	want := d.expect[fd]
	for deadline := time.Now().Add(limit); len(want) > 0; {
		n, err := d.got.receive(fd)
		if err != nil && (err != unix.EAGAIN || time.Now().After(deadline)) {
			d.p.t.Fatalf("receive from socket %d: %v; %d datagrams are missing", fd, err, len(want))
		}
		for i := range n {
			got := d.got.bytes[i][:d.got.list[i].length]
			if len(want) == 0 || !bytes.Equal(got, want[0]) {
				d.p.t.Errorf("%v: socket %d got %x, want the first of %x", d.p.g.Encoding(), fd, got, want[:min(1, len(want))])
				return
			}
			want = want[1:]
		}
	}
	if n, err := d.got.receive(fd); err != unix.EAGAIN {
		d.p.t.Errorf("%v: socket %d got %d datagrams that are not for it, %v", d.p.g.Encoding(), fd, n, err)
	}
}

func (c Counters) plus(d Counters) Counters {
	return Counters{
		c.Delivered + d.Delivered, c.TooShort + d.TooShort, c.NoIdentifier + d.NoIdentifier,
		c.UnknownIdentifier + d.UnknownIdentifier, c.DeadMember + d.DeadMember, c.NoSocket + d.NoSocket,
	}
}

// mail is a batch of datagrams as sendmmsg and recvmmsg take it.
type mail struct {
	bytes  [][]byte
	list   []mmsghdr
	vector []unix.Iovec
}

type mmsghdr struct {
	unix.Msghdr
	length uint32
	_      uint32
}

func (m *mail) init() {
	m.list, m.vector = make([]mmsghdr, batch), make([]unix.Iovec, batch)
	for i := range m.list {
		m.bytes = append(m.bytes, make([]byte, longest))
		m.vector[i].Base = &m.bytes[i][0]
		m.list[i].Iov = &m.vector[i]
		m.list[i].SetIovlen(1)
		m.set(i, longest)
	}
}

func (m *mail) set(i, length int) { m.vector[i].SetLen(length) }

// address4 and address6 are the port on loopback.
var (
	address4 = rawAddress(unix.RawSockaddrInet4{Family: unix.AF_INET, Port: number>>8 | number&0xff<<8, Addr: [4]byte{127, 0, 0, 1}})
	address6 = rawAddress(unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: number>>8 | number&0xff<<8, Addr: [16]byte{15: 1}})
)

func rawAddress[T any](a T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&a)), unsafe.Sizeof(a))
}

func (m *mail) send(t testing.TB, fd int, to []byte, list []mmsghdr) {
	t.Helper()
	for i := range list {
		list[i].Name, list[i].Namelen = &to[0], uint32(len(to))
	}
	for len(list) > 0 {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&list[0])), uintptr(len(list)), 0, 0, 0)
		if errno != 0 {
			t.Fatalf("sendmmsg: %v", errno)
		}
		list = list[n:]
	}
}

// receive returns how many datagrams it has read.
func (m *mail) receive(fd int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.list[0])), batch, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
