// SPDX-License-Identifier: MIT

package classifier

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

const (
	chunk    = 2048
	chunks   = 1024
	ringSize = 512
)

// member is a datapath, with an AF_XDP socket for the only queue of the right end.
type member struct {
	*xsk.Socket
	umem *xsk.UMEM
	fill *xsk.SharedFill
}

// traffic is a wire with a classifier, two members, and kernel sockets that get what is passed on.
type traffic struct {
	*wire
	c       *Classifier
	members map[uint32]*member // by slot
	kernel  map[uint16]int     // sockets at the right end, by port
	client  map[bool]int       // sockets at the left end: true is for IPv4
}

func newTraffic(t testing.TB, mode Mode) *traffic {
	t.Helper()
	x := &traffic{wire: newWire(t), members: map[uint32]*member{}, kernel: map[uint16]int{}, client: map[bool]int{}}
	x.c = newClassifier(t, Options{LongestPacket: chunk - xsk.Headroom})
	a, err := x.attach(x.c, mode)
	check(t, err)
	if a.Mode != mode {
		t.Fatalf("%+v", a)
	}
	check(t, x.c.SetAddresses(here),
		x.c.PutPort(exclusivePort, Exclusive(busySlot)), x.c.PutPort(sharedPort, Shared(usual)),
		x.c.PutIdentifier(sharedPort, identifier(4, 1), busySlot), x.c.PutIdentifier(sharedPort, identifier(4, 2), lastSlot))
	x.join(busySlot, nil)
	x.join(lastSlot, x.members[busySlot])
	for _, port := range []uint16{exclusivePort, sharedPort, emptyPort} {
		x.kernel[port] = x.open(x.right.NS, unix.AF_INET6, &unix.SockaddrInet6{Port: int(port)})
	}
	x.client[true] = x.open(x.left.NS, unix.AF_INET, &unix.SockaddrInet4{})
	x.client[false] = x.open(x.left.NS, unix.AF_INET6, &unix.SockaddrInet6{})
	return x
}

// join gives a slot a member, beside another one or as the first.
func (x *traffic) join(slot uint32, donor *member) {
	x.t.Helper()
	m := &member{}
	config := xsk.Config{Interface: x.right.Index, RX: ringSize, TX: ringSize, Fill: chunks, Completion: chunks, Patience: limit}
	x.right.NS.Do(x.t, func() (err error) {
		if donor != nil {
			m.umem, m.fill = donor.umem, donor.fill
			m.Socket, err = xsk.Join(donor.FD(), config)
			return err
		}
		memory, err := unix.Mmap(-1, 0, chunks*chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
		if err != nil {
			return err
		}
		x.t.Cleanup(func() { unix.Munmap(memory) })
		m.umem = &xsk.UMEM{Memory: memory, Chunk: chunk}
		m.Socket, err = xsk.Create(m.umem, xsk.ModeAny, config)
		return err
	})
	x.t.Cleanup(func() { m.Close() })
	if donor == nil {
		var err error
		m.fill, err = xsk.NewSharedFill(m.Fill, chunk)
		check(x.t, err)
		for n := range uint64(chunks) {
			m.fill.Push([]uint64{n * chunk})
		}
	}
	check(x.t, x.c.PutSocket(slot, 0, m.FD()))
	x.members[slot] = m
}

// open makes a UDP socket, closed when the test ends.
func (x *traffic) open(ns *netnstest.NS, family int, local unix.Sockaddr) (fd int) {
	x.t.Helper()
	ns.Do(x.t, func() (err error) {
		if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err == nil {
			err = unix.Bind(fd, local)
		}
		return err
	})
	x.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// send sends a datagram from the left end.
func (x *traffic) send(to netip.Addr, port uint16, payload []byte) {
	x.t.Helper()
	check(x.t, unix.Sendto(x.client[to.Is4()], payload, 0, sockaddr(to, port)))
}

func sockaddr(to netip.Addr, port uint16) unix.Sockaddr {
	if to.Is4() {
		return &unix.SockaddrInet4{Port: int(port), Addr: to.As4()}
	}
	return &unix.SockaddrInet6{Port: int(port), Addr: to.As16()}
}

// receive takes the datagrams that a member has got, as IP packets have them: with the UDP header.
func (m *member) receive(t testing.TB) (datagrams [][]byte) {
	t.Helper()
	descs := make([]xsk.Desc, ringSize)
	n := m.RX.Peek(descs)
	for _, d := range descs[:n] {
		p, _, ok := m.umem.Packet(d)
		if !ok {
			t.Fatalf("descriptor %+v", d)
		}
		at := map[uint16]int{unix.ETH_P_IP: atUDP4, unix.ETH_P_IPV6: atUDP6}[binary.BigEndian.Uint16(p[atEthertype:])]
		if at == 0 {
			t.Fatalf("no IP packet: %x", p)
		}
		datagrams = append(datagrams, append([]byte{}, p[at:]...))
		m.fill.Push([]uint64{d.Addr})
	}
	m.RX.Release(n)
	return datagrams
}

// outlet is where a datagram can come out: a slot, or the kernel's socket of a port.
type outlet struct {
	kernel bool
	number int
}

func slotOutlet(slot uint32) outlet   { return outlet{false, int(slot)} }
func kernelOutlet(port uint16) outlet { return outlet{true, int(port)} }

// drain takes all that has come out, payloads by outlet.
func (x *traffic) drain(out map[outlet][]string) (n int) {
	x.t.Helper()
	for slot, m := range x.members {
		for _, d := range m.receive(x.t) {
			out[slotOutlet(slot)] = append(out[slotOutlet(slot)], string(d[8:]))
			n++
		}
	}
	b := make([]byte, 1<<16)
	for port, fd := range x.kernel {
		for {
			length, _, err := unix.Recvfrom(fd, b, 0)
			if err != nil {
				break
			}
			out[kernelOutlet(port)] = append(out[kernelOutlet(port)], string(b[:length]))
			n++
		}
	}
	return n
}

// await drains until n datagrams have come out.
func (x *traffic) await(n int) map[outlet][]string {
	x.t.Helper()
	out := map[outlet][]string{}
	until(x.t, fmt.Sprintf("%d datagrams come out", n), func() bool {
		n -= x.drain(out)
		return n <= 0
	})
	return out
}

// wantAt sends a datagram, and fails unless it comes out there, and only there.
func (x *traffic) wantAt(want outlet, to netip.Addr, port uint16, payload []byte) {
	x.t.Helper()
	x.send(to, port, payload)
	out := x.await(1)
	if len(out) != 1 || len(out[want]) != 1 || out[want][0] != string(payload) {
		x.t.Errorf("%x for %v, port %d came out at %+v, want it at %+v", payload, to, port, out, want)
	}
}

// Datagrams of the kernel at the other end of a wire reach whom they are for.
func TestTraffic(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			x := newTraffic(t, mode)
			one, two := slotOutlet(busySlot), slotOutlet(lastSlot)
			for _, to := range here {
				for i := range 50 {
					body := fmt.Append(nil, i, "some payload")
					x.wantAt(one, to, exclusivePort, body)
					x.wantAt(one, to, sharedPort, append(long(usual, identifier(4, 1)), body...))
					x.wantAt(two, to, sharedPort, append(short(usual, identifier(4, 2)), body...))
					x.wantAt(kernelOutlet(sharedPort), to, sharedPort, append(short(usual, identifier(4, 3)), body...))
					x.wantAt(kernelOutlet(emptyPort), to, emptyPort, body)
				}
				x.wantAt(one, to, sharedPort, append(long(usual, identifier(4, 1)), make([]byte, 1350)...))
			}
			// The kernel has these addresses, and the classifier does not know of it yet.
			x.wantAt(kernelOutlet(exclusivePort), there4, exclusivePort, []byte("payload"))
			x.wantAt(kernelOutlet(exclusivePort), there6, exclusivePort, []byte("payload"))
			check(t, x.c.SetAddresses([]netip.Addr{here4, there4, here6, there6}))
			x.wantAt(one, there4, exclusivePort, []byte("payload"))
			x.wantAt(one, there6, exclusivePort, []byte("payload"))
			// IP fragments are the kernel's.
			x.wantAt(kernelOutlet(exclusivePort), here4, exclusivePort, make([]byte, 3000))
			x.wantAt(kernelOutlet(exclusivePort), here6, exclusivePort, make([]byte, 3000))
			x.wantCounted(t)
		})
	}
}

// wantCounted fails if the counters contradict each other.
func (x *traffic) wantCounted(t *testing.T) {
	t.Helper()
	total, queues, err := x.c.Counters()
	check(t, err)
	var slots uint64
	for slot := range x.members {
		n, err := x.c.RedirectedTo(slot)
		check(t, err)
		slots += n
	}
	if total[Redirected] != slots || queues[0] != total || total[Malformed]+total[NoSocket]+total[Paused] != 0 ||
		total[Fragment] == 0 || total[NotLocal] == 0 || total[UnknownIdentifier] == 0 || total[NoPort] == 0 || total[NotIP] == 0 {
		t.Errorf("%v, queue 0 %v, slots %d", total, queues[0], slots)
	}
}

// A slot whose socket is gone leaves its datagrams to the kernel, at once.
func TestTrafficWithoutSocket(t *testing.T) {
	x := newTraffic(t, Native)
	x.wantAt(slotOutlet(lastSlot), here4, sharedPort, short(usual, identifier(4, 2)))
	check(t, x.members[lastSlot].Close())
	delete(x.members, lastSlot)
	x.wantAt(kernelOutlet(sharedPort), here4, sharedPort, short(usual, identifier(4, 2)))
	x.wantAt(slotOutlet(busySlot), here4, sharedPort, short(usual, identifier(4, 1)))
	x.join(lastSlot, x.members[busySlot])
	x.wantAt(slotOutlet(lastSlot), here4, sharedPort, short(usual, identifier(4, 2)))
}

// What generic XDP sees of segments that were sent in one call, a peer on the same host, is one packet.
// The kernel, to which it goes since it is too long, knows how to take it apart.
func TestSegmentsInOnePacket(t *testing.T) {
	x := newTraffic(t, Generic)
	check(t, unix.SetsockoptInt(x.client[true], unix.SOL_UDP, unix.UDP_SEGMENT, 1200))
	x.send(here4, exclusivePort, make([]byte, 3*1200))
	out := x.await(3)
	if len(out[kernelOutlet(exclusivePort)]) != 3 {
		t.Errorf("%d outlets", len(out))
	}
	total, _, err := x.c.Counters()
	check(t, err)
	if total[TooLong] != 1 {
		t.Errorf("%v", total)
	}
}

// Native XDP makes the peer send each segment in a packet of its own.
func TestSegmentsInPacketsOfTheirOwn(t *testing.T) {
	x := newTraffic(t, Native)
	check(t, unix.SetsockoptInt(x.client[true], unix.SOL_UDP, unix.UDP_SEGMENT, 1200))
	x.send(here4, exclusivePort, make([]byte, 3*1200))
	if out := x.await(3); len(out[slotOutlet(busySlot)]) != 3 {
		t.Errorf("%d outlets", len(out))
	}
}

// membarrier waits for an RCU grace period.
func membarrier() error {
	const commandGlobal = 1
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, commandGlobal, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// Rules change while datagrams pour in: each comes out where one of the rules in force says, none is lost, and a
// grace period after a pause the sockets are silent.
func TestRulesChangeUnderLoad(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			x := newTraffic(t, mode)
			turns := 0
			for begin := time.Now(); time.Since(begin) < 300*time.Millisecond || turns < 3; turns++ {
				x.burst(func() { check(t, x.c.TakeIdentifier(sharedPort, identifier(4, 1), lastSlot)) }, slotOutlet(busySlot), slotOutlet(lastSlot))
				x.burst(func() { check(t, x.c.DeleteIdentifier(sharedPort, identifier(4, 1), lastSlot)) }, slotOutlet(lastSlot), kernelOutlet(sharedPort))
				x.burst(func() { check(t, x.c.PutIdentifier(sharedPort, identifier(4, 1), busySlot)) }, kernelOutlet(sharedPort), slotOutlet(busySlot))
				x.burst(func() { check(t, x.c.DeletePort(sharedPort, Shared(usual))) }, slotOutlet(busySlot), kernelOutlet(sharedPort))
				x.burst(func() { check(t, x.c.PutPort(sharedPort, Exclusive(lastSlot))) }, kernelOutlet(sharedPort), slotOutlet(lastSlot))
				x.burst(func() { check(t, x.c.TakePort(sharedPort, Shared(usual))) }, slotOutlet(lastSlot), slotOutlet(busySlot))
				x.burst(func() { check(t, x.c.SetAddresses([]netip.Addr{here6})) }, slotOutlet(busySlot), kernelOutlet(sharedPort))
				x.burst(func() { check(t, x.c.SetAddresses(here)) }, kernelOutlet(sharedPort), slotOutlet(busySlot))
				x.burst(func() { check(t, x.c.Pause(0)) }, slotOutlet(busySlot), kernelOutlet(sharedPort))
				x.burst(func() { check(t, x.c.Resume(0)) }, kernelOutlet(sharedPort), slotOutlet(busySlot))
			}
			t.Logf("%d turns", turns)
		})
	}
}

// burst sends datagrams while a change happens. Before it they come out at one place, and after it at another.
func (x *traffic) burst(change func(), before, after outlet) {
	x.t.Helper()
	const n = 100
	payload := short(usual, identifier(4, 1))
	sent := make(chan error)
	go func() {
		var err error
		for range n {
			if err == nil {
				err = unix.Sendto(x.client[true], payload, 0, sockaddr(here4, sharedPort))
			}
		}
		sent <- err
	}()
	change()
	check(x.t, <-sent)
	out := x.await(n)
	for o := range maps.Keys(out) {
		if o != before && o != after {
			x.t.Errorf("%d datagrams came out at %+v", len(out[o]), o)
		}
	}
	check(x.t, membarrier())
	x.wantAt(after, here4, sharedPort, payload)
}

// The identifier is looked for where the encoding of the port says, over IPv4 and IPv6, in real packets as well.
func TestTrafficOfEveryIdentifierLength(t *testing.T) {
	x := newTraffic(t, Native)
	for length := uint8(1); length <= cibir.MaxIDLength; length++ {
		e := cibir.Encoding{Length: length, SourceOffset: length % 5, DestinationOffset: length % 3}
		id := identifier(length, 0x01020304)
		check(t, x.c.TakePort(emptyPort, Shared(e)), x.c.PutIdentifier(emptyPort, id, lastSlot))
		for _, to := range here {
			x.wantAt(slotOutlet(lastSlot), to, emptyPort, long(e, id))
			x.wantAt(slotOutlet(lastSlot), to, emptyPort, short(e, id))
		}
	}
}
