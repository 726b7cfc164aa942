// SPDX-License-Identifier: MIT

package steering

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// padded is a datagram of n bytes.
func padded(datagram []byte, n int) []byte {
	return append(slices.Clone(datagram), make([]byte, n-len(datagram))...)
}

// Above 16 kB the kernel keeps all but the headers in page fragments.
func TestLargeDatagrams(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	fds := p.publish(5, id, 1)
	for _, n := range []int{1200, 1472, 9000, 20000, 65000} {
		for _, family := range families {
			p.wantAt(fds, family, padded(long(usual, id), n))
			p.wantAt(fds, family, padded(short(usual, id), n))
		}
	}
	p.wantDropped(Counters{UnknownIdentifier: 1}, padded(short(usual, identifier(usual.Length, 2)), 65000))
}

// wire joins the port's namespace, 10.0.0.1 and fd00::1, to another.
func (p *port) wire() (far *netnstest.NS) {
	p.t.Helper()
	far = netnstest.New(p.t)
	netnstest.Veth(p.t,
		&netnstest.End{NS: p.ns, Name: "here", Addrs: netnstest.Prefixes("10.0.0.1/24", "fd00::1/64")},
		&netnstest.End{NS: far, Name: "there", Addrs: netnstest.Prefixes("10.0.0.2/24", "fd00::2/64")})
	return far
}

// A datagram that came in IP fragments is a list of packets.
func TestFragmentedDatagrams(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	fds := p.publish(5, id, 1)
	far := p.wire()
	for _, to := range []unix.Sockaddr{
		&unix.SockaddrInet4{Port: number, Addr: [4]byte{10, 0, 0, 1}},
		&unix.SockaddrInet6{Port: number, Addr: [16]byte{0: 0xfd, 15: 1}},
	} {
		datagram := padded(long(usual, id), 10000)
		before := p.counters()
		far.Do(t, func() error { return sendOnce(to, datagram) })
		if c := p.judged(before, 1); c != (Counters{Delivered: 1}) {
			t.Errorf("counted as %+v", c)
		}
		if got := p.receive(fds[0]); !slices.Equal(got, datagram) {
			t.Errorf("%d bytes arrived", len(got))
		}
	}
	p.wantSilence()
}

// What the documentation says of broadcasts: the kernel gives them to all sockets of a port and asks nobody.
func TestBroadcastGoesToAll(t *testing.T) {
	p := newPort(t, usual)
	mine, other := identifier(usual.Length, 1), identifier(usual.Length, 2)
	fds := slices.Concat(p.publish(5, mine, 1), p.publish(6, other, 1), p.sockets(1))
	before := p.counters()
	p.wire().Do(t, func() error {
		return sendOnce(&unix.SockaddrInet4{Port: number, Addr: [4]byte{10, 0, 0, 255}}, short(usual, mine))
	})
	for _, fd := range fds {
		if id, verdict := usual.Find(p.receive(fd)); id != mine || verdict != cibir.Found {
			t.Errorf("%v, %v; want %v", id, verdict, mine)
		}
	}
	if c := p.counters().minus(before); c != (Counters{}) {
		t.Errorf("counted as %+v", c)
	}
}

func sendOnce(to unix.Sockaddr, datagram []byte) error {
	family := unix.AF_INET6
	if _, ok := to.(*unix.SockaddrInet4); ok {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
		return err
	}
	return unix.Sendto(fd, datagram, 0, to)
}

// sendSegments sends datagrams of one length in one super-datagram, as MsQuic does.
func (p *port) sendSegments(datagrams ...[]byte) {
	p.t.Helper()
	size := binary.NativeEndian.AppendUint16(nil, uint16(len(datagrams[0])))
	control := make([]byte, unix.CmsgSpace(len(size)))
	h := binary.NativeEndian
	h.PutUint64(control[0:], uint64(unix.CmsgLen(len(size))))
	h.PutUint32(control[8:], unix.SOL_UDP)
	h.PutUint32(control[12:], unix.UDP_SEGMENT)
	copy(control[unix.CmsgLen(0):], size)
	to := address("v6")
	if err := unix.Sendmsg(p.v6, slices.Concat(datagrams...), control, to, 0); err != nil {
		p.t.Fatal(err)
	}
}

// The kernel splits a super-datagram behind the steering for a socket that does
// not take it whole. Either way it counts as one, and all of its payload is in
// page fragments.
func TestSegmentedDatagrams(t *testing.T) {
	for _, whole := range []bool{false, true} {
		p := newPort(t, usual)
		mine, other := identifier(usual.Length, 1), identifier(usual.Length, 2)
		fd := p.publish(5, mine, 1)[0]
		p.publish(6, other, 1)
		arrive := 3
		if whole {
			arrive = 1
			if err := unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1); err != nil {
				t.Fatal(err)
			}
		}
		for _, first := range [][]byte{short(usual, mine), long(usual, mine)} {
			datagram := padded(first, 1200)
			before := p.counters()
			p.sendSegments(datagram, datagram, datagram)
			if c := p.judged(before, 1); c != (Counters{Delivered: 1}) {
				t.Errorf("counted as %+v", c)
			}
			for range arrive {
				if got := p.receive(fd); len(got) != 3*1200/arrive {
					t.Errorf("%d bytes arrived", len(got))
				}
			}
			p.wantSilence()
		}
	}
}

// What the documentation says of coalesced datagrams: the first decides for all,
// and the receiver can tell.
func TestFirstSegmentDecides(t *testing.T) {
	p := newPort(t, usual)
	mine, other := identifier(usual.Length, 1), identifier(usual.Length, 2)
	fd := p.publish(5, mine, 1)[0]
	p.publish(6, other, 1)
	before := p.counters()
	p.sendSegments(padded(short(usual, mine), 1200), padded(short(usual, other), 1200))
	if c := p.judged(before, 1); c != (Counters{Delivered: 1}) {
		t.Errorf("counted as %+v", c)
	}
	for _, want := range []cibir.ID{mine, other} {
		if id, verdict := usual.Find(p.receive(fd)); id != want || verdict != cibir.Found {
			t.Errorf("%v, %v; want %v", id, verdict, want)
		}
	}
	p.wantSilence()
}

// What lies in the packet behind the end of the datagram, by the length in its UDP header, is no part of it.
func TestPacketLongerThanItsDatagram(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	fds := p.publish(5, id, 1)
	raw := 0
	p.ns.Do(t, func() (err error) {
		raw, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
		return err
	})
	defer unix.Close(raw)
	for _, datagram := range [][]byte{short(usual, id), long(usual, id)} {
		whole := len(datagram) - len("payload")
		for n := range whole + 1 {
			packet := binary.BigEndian.AppendUint16(nil, 9)
			packet = binary.BigEndian.AppendUint16(packet, number)
			packet = binary.BigEndian.AppendUint16(packet, uint16(8+n))
			packet = append(packet, 0, 0) // no checksum
			before := p.counters()
			if err := unix.Sendto(raw, append(packet, datagram...), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
				t.Fatal(err)
			}
			_, verdict := usual.Find(datagram[:n])
			want := Counters{TooShort: 1}
			if verdict == cibir.Found {
				want = Counters{Delivered: 1}
			}
			if c := p.judged(before, 1); c != want {
				t.Errorf("%d bytes of %x: %+v", n, datagram, c)
			}
			if verdict == cibir.Found && len(p.receive(fds[0])) != n {
				t.Errorf("not %d bytes", n)
			}
		}
	}
	p.wantSilence()
}
