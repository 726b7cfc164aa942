// SPDX-License-Identifier: MIT

package ossock

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
)

// payloads returns count datagrams of size bytes, the last one of its own size.
func payloads(seed, count, size, last int) [][]byte {
	return superFrame{seed, count, size, last}.cut()
}

// outgoing makes a send to an address, with the source left to the kernel.
func outgoing(t testing.TB, to netip.AddrPort, segment int, datagrams ...[]byte) *batch.Tx {
	t.Helper()
	tx := blocktest.NewTx(t, segment, datagrams...)
	tx.Remote = batch.AddrFrom(to)
	for i := range tx.Control {
		tx.Control[i] = 0xa5 // a recycled block
	}
	return tx
}

func wantStatus(t testing.TB, got int32, want unix.Errno) {
	t.Helper()
	if got != int32(want) {
		t.Errorf("status %d (%v), want %d (%v)", got, unix.Errno(got), int32(want), want)
	}
}

func wantQueued(t testing.TB, got int32) {
	t.Helper()
	if got != batch.SendQueued {
		t.Fatalf("status %d (%v), want it queued", got, unix.Errno(got))
	}
}

// plainReceive waits until a plain socket has got so many datagrams, and reads all.
func plainReceive(t testing.TB, fd, count int) (datagrams [][]byte) {
	t.Helper()
	buf := make([]byte, batch.IOBuffer)
	for {
		n, _, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN && len(datagrams) < count && polled(fd, unix.POLLIN, patience) {
			continue
		}
		if err == unix.EAGAIN {
			return datagrams
		}
		if err != nil {
			t.Fatal(err)
		}
		datagrams = append(datagrams, bytes.Clone(buf[:n]))
	}
}

func wantSame(t testing.TB, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d datagrams, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("datagram %d of %d has %d bytes, want %d others", i+1, len(got), len(got[i]), len(want[i]))
		}
	}
}

func TestSendArrivesAsItWasAlloted(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	for _, ip := range []string{"127.0.0.1:0", "[::1]:0"} {
		fd := h.socket(unix.SOCK_DGRAM, ip)
		to := nameOf(t, fd)
		for name, ep := range map[string]*batch.Endpoint{"server": w.server(h), "client": w.client(h, to)} {
			for _, test := range []struct {
				name                       string
				segment, count, size, last int
			}{
				{"one", 0, 1, 100, 100},
				{"one of one byte", 0, 1, 1, 1},
				{"largest", 0, 1, batch.MaxPayload - 20, batch.MaxPayload - 20},
				{"segments", 1200, 10, 1200, 1200},
				{"last one short", 1200, 10, 1200, 1},
				{"as many as fit", 900, batch.TxSegments, 900, 899},
				{"one segment", 1200, 1, 1200, 1200},
				{"one short segment", 1200, 1, 7, 7},
				{"sizes of their own", 0, 3, 500, 700},
			} {
				t.Run(fmt.Sprintf("%s to %s, %s", name, ip, test.name), func(t *testing.T) {
					want := payloads(test.count, test.count, test.size, test.last)
					wantStatus(t, Send(ep, outgoing(t, to, test.segment, want...)), 0)
					wantSame(t, plainReceive(t, fd, len(want)), want)
				})
			}
		}
	}
}

// A batch costs one system call where the kernel cuts it: the receiver sees one super-frame.
func TestSegmentsLeaveInOneCall(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	server := w.server(h)
	client := w.client(h, port(server, "127.0.0.1"))
	want := payloads(1, 40, 1200, 300)
	wantStatus(t, Send(client, outgoing(t, client.Remote.AddrPort(), 1200, want...)), 0)
	w.runUntil("all are here", func() bool { return w.received() == len(want) })
	if turns := w.seen[server].turns; turns > 2 {
		t.Errorf("%d turns for one super-frame", turns)
	}
	w.wantDatagrams(server, want)
	if !segments(client) {
		t.Error("segmentation was switched off")
	}
}

// segments reports whether an endpoint uses UDP_SEGMENT; setSegments lets it.
func segments(ep *batch.Endpoint) bool { return ep.Segment.Load() }
func setSegments(ep *batch.Endpoint)   { ep.Segment.Store(true) }

// udpLite returns a UDP-Lite socket and an endpoint that sends to it. Such a
// socket refuses UDP_SEGMENT with EIO, as a device does that cannot cut.
func (h *host) udpLite() (receiver int, ep *batch.Endpoint) {
	h.t.Helper()
	var fds [2]int
	for i := range fds {
		h.do(func() (err error) {
			const protocol = 136
			fds[i], err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
			if err == unix.EPROTONOSUPPORT {
				h.t.Skip("no-udplite: nothing else answers EIO on purpose")
			}
			return err
		})
		h.t.Cleanup(func() { unix.Close(fds[i]) })
		if err := unix.Bind(fds[i], &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			h.t.Fatal(err)
		}
	}
	ep = blocktest.NewEndpoint(-1)
	ep.FD, ep.Kind, ep.IsV4 = int32(fds[1]), batch.KindUDP, true
	setSegments(ep)
	return fds[0], ep
}

func TestSegmentationRefusedLosesNothing(t *testing.T) {
	h := newHost(t)
	receiver, ep := h.udpLite()
	var want [][]byte
	for i := range 3 {
		list := payloads(i, 20, 1000, 300)
		wantStatus(t, Send(ep, outgoing(t, nameOf(t, receiver), 1000, list...)), 0)
		if segments(ep) {
			t.Fatal("segmentation was not switched off")
		}
		want = append(want, list...)
	}
	wantSame(t, plainReceive(t, receiver, len(want)), want)
}

// Path MTU discovery sends datagrams that are too long on purpose.
func TestTooLongDatagramHoldsBackNoOther(t *testing.T) {
	h := newHost(t)
	far, _ := h.wire()
	w := newWorker(t)
	for _, at := range []string{"10.0.0.2:0", "[fd00::2]:0"} {
		fd := far.socket(unix.SOCK_DGRAM, at)
		for name, ep := range map[string]*batch.Endpoint{"server": w.server(h), "client": w.client(h, nameOf(t, fd))} {
			t.Run(name+" to "+at, func(t *testing.T) {
				list := [][]byte{pattern(1, 1000), pattern(2, 1473), pattern(3, 1200), pattern(4, 4000), pattern(5, 1)}
				tx := outgoing(t, nameOf(t, fd), 0, list...)
				wantStatus(t, Send(ep, tx), unix.EMSGSIZE)
				wantSame(t, plainReceive(t, fd, 3), [][]byte{list[0], list[2], list[4]})
				wantStatus(t, Send(ep, outgoing(t, nameOf(t, fd), 0, pattern(6, 1500))), unix.EMSGSIZE)
				wantStatus(t, Send(ep, outgoing(t, nameOf(t, fd), 0, pattern(7, 1400))), 0)
				wantSame(t, plainReceive(t, fd, 1), [][]byte{pattern(7, 1400)})
			})
		}
	}
}

func TestSourceAndTrafficClassOfASend(t *testing.T) {
	h := newHost(t)
	far, here := h.wire()
	w := newWorker(t)
	peer := newWorker(t)
	receiver := peer.server(far)
	server := w.server(h)
	client4, client6 := w.client(h, port(receiver, "10.0.0.2")), w.client(h, port(receiver, "fd00::2"))
	for _, test := range []struct {
		name     string
		ep       *batch.Endpoint
		to, from batch.Addr
		want     string
	}{
		{"IPv4, chosen by the kernel", server, addrOf("10.0.0.2:0"), batch.Addr{}, "10.0.0.1"},
		{"IPv4, wildcard", server, addrOf("10.0.0.2:0"), addrOf("0.0.0.0:1"), "10.0.0.1"},
		{"IPv4, IPv6 wildcard", server, addrOf("10.0.0.2:0"), addrOf("[::]:1"), "10.0.0.1"},
		{"IPv4, mapped wildcard", server, addrOf("10.0.0.2:0"), addrOf("[::ffff:0.0.0.0]:1"), "10.0.0.1"},
		{"IPv4, first", server, addrOf("10.0.0.2:0"), addrOf("10.0.0.1:1"), "10.0.0.1"},
		{"IPv4, second", server, addrOf("10.0.0.2:0"), addrOf("10.0.0.3:1"), "10.0.0.3"},
		{"IPv4, mapped second", server, addrOf("10.0.0.2:0"), addrOf("[::ffff:10.0.0.3]:1"), "10.0.0.3"},
		{"IPv4, second and interface", server, addrOf("10.0.0.2:0"), withScope("10.0.0.3:1", uint32(here.Index)), "10.0.0.3"},
		{"IPv4, interface alone", server, addrOf("10.0.0.2:0"), withScope("0.0.0.0:1", uint32(here.Index)), "10.0.0.1"},
		{"mapped peer", server, addrOf("[::ffff:10.0.0.2]:0"), addrOf("10.0.0.3:1"), "10.0.0.3"},
		{"IPv6, first", server, addrOf("[fd00::2]:0"), addrOf("[fd00::1]:1"), "fd00::1"},
		{"IPv6, second", server, addrOf("[fd00::2]:0"), addrOf("[fd00::3]:1"), "fd00::3"},
		{"IPv6, second and interface", server, addrOf("[fd00::2]:0"), withScope("[fd00::3]:1", uint32(here.Index)), "fd00::3"},
		{"connected, IPv4", client4, addrOf("10.0.0.2:0"), batch.Addr{}, client4.Local.IP().String()},
		{"connected, mapped peer", client4, addrOf("[::ffff:10.0.0.2]:0"), batch.Addr{}, client4.Local.IP().String()},
		{"connected: its source is fixed", client4, addrOf("10.0.0.2:0"), addrOf("10.0.0.3:1"), client4.Local.IP().String()},
		{"connected, IPv6", client6, addrOf("[fd00::2]:0"), client6.Local, client6.Local.IP().String()},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, count := range []int{1, 3} {
				for _, class := range []uint8{0, 2, 0xb9} {
					tx := outgoing(t, netip.AddrPort{}, 100, payloads(1, count, 100, 50)...)
					tx.Remote, tx.Local, tx.TOS = test.to, test.from, class
					tx.Remote.Port = receiver.Local.Port
					wantStatus(t, Send(test.ep, tx), 0)
					peer.runUntil("it is here", func() bool { return peer.received() == count })
					for _, d := range peer.seen[receiver].got {
						if d.remote.AddrPort() != port(test.ep, test.want) || d.tos != class {
							t.Errorf("came from %v with class %#x, want %v and %#x", d.remote.AddrPort(), d.tos, port(test.ep, test.want), class)
						}
					}
					peer.seen[receiver].got = nil
				}
			}
		})
	}
}

// Without IPv6 the socket is AF_INET, and MsQuic may still name addresses in the other family.
func TestMappedAddressesOnAnIPv4Socket(t *testing.T) {
	h := newHost(t)
	far, _ := h.wire()
	withoutIPv6(t)
	w, peer := newWorker(t), newWorker(t)
	ep, receiver := w.server(h), peer.server(far)
	if !ep.IsV4 || !receiver.IsV4 {
		t.Fatal("not AF_INET")
	}
	for _, from := range []string{"10.0.0.3:1", "[::ffff:10.0.0.3]:1"} {
		tx := outgoing(t, netip.AddrPortFrom(netip.MustParseAddr("::ffff:10.0.0.2"), receiver.Local.PortNumber()), 0, pattern(1, 10))
		tx.Local, tx.TOS = addrOf(from), 0xb9
		wantStatus(t, Send(ep, tx), 0)
		peer.runUntil("it is here", func() bool { return peer.received() == 1 })
		if d := peer.seen[receiver].got[0]; d.remote.AddrPort() != port(ep, "10.0.0.3") || d.tos != 0xb9 {
			t.Errorf("from %s: came from %v with class %#x", from, d.remote.AddrPort(), d.tos)
		}
		peer.seen[receiver].got = nil
	}
}

// A send leaves by the interface that its source names, also where routing would choose another.
func TestSendLeavesByTheInterfaceOfItsSource(t *testing.T) {
	h := newHost(t)
	far, here := h.wire()
	w := newWorker(t)
	ep := w.server(h)
	const lo = 1
	for _, at := range []string{"10.0.0.2:0", "[fd00::2]:0"} {
		fd := far.socket(unix.SOCK_DGRAM, at)
		tx := outgoing(t, nameOf(t, fd), 0, pattern(1, 10))
		tx.Local = batch.Addr{Family: tx.Remote.Family}
		for _, test := range []struct {
			ifindex int
			arrives bool
			within  time.Duration
		}{{lo, false, quiet}, {here.Index, true, patience}} {
			tx.Local.Scope = uint32(test.ifindex)
			status := Send(ep, tx)
			if got := polled(fd, unix.POLLIN, test.within); got != test.arrives {
				t.Errorf("to %s by interface %d: status %v, arrived: %v", at, test.ifindex, unix.Errno(status), got)
			}
		}
	}
}

// MsQuic's routes may name another peer than the one a socket is connected to.
func TestConnectedEndpointSendsWhereTheRouteSays(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		first, second := h.socket(unix.SOCK_DGRAM, at), h.socket(unix.SOCK_DGRAM, at)
		ep := w.client(h, nameOf(t, first))
		wantStatus(t, Send(ep, outgoing(t, nameOf(t, second), 0, pattern(2, 10))), 0)
		wantStatus(t, Send(ep, outgoing(t, nameOf(t, first), 0, pattern(1, 10))), 0)
		wantSame(t, plainReceive(t, second, 1), [][]byte{pattern(2, 10)})
		wantSame(t, plainReceive(t, first, 1), [][]byte{pattern(1, 10)})
	}
}

// A send names neither destination nor source where connect has fixed both,
// whatever its block named before.
func TestConnectedEndpointNamesNothing(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		to := nameOf(t, h.socket(unix.SOCK_DGRAM, at))
		tx := outgoing(t, to, 0, pattern(1, 10))
		client := w.client(h, to)
		tx.Local = client.Local
		wantStatus(t, Send(w.server(h), tx), 0)
		if m := &tx.Message; m.Name == nil || m.Namelen == 0 || m.Control == nil || m.Controllen == 0 {
			t.Errorf("not connected, to %s: %+v", at, m)
		}
		wantStatus(t, Send(client, tx), 0)
		if m := &tx.Message; m.Name != nil || m.Namelen != 0 || m.Control != nil || m.Controllen != 0 {
			t.Errorf("connected to %s: %+v", at, m)
		}
	}
}

// Nobody listens: the send that learns it says so, and the next one goes out again.
func TestSendToARefusingPeer(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	peer := h.unused(unix.SOCK_DGRAM, "127.0.0.1:0")
	ep := w.client(h, peer)
	wantStatus(t, Send(ep, outgoing(t, peer, 0, pattern(1, 10))), 0)
	w.ready(ep, unix.EPOLLERR)
	wantStatus(t, Send(ep, outgoing(t, peer, 0, pattern(2, 10))), unix.ECONNREFUSED)
	fd := h.socket(unix.SOCK_DGRAM, peer.String())
	wantStatus(t, Send(ep, outgoing(t, peer, 0, pattern(3, 10))), 0)
	wantSame(t, plainReceive(t, fd, 1), [][]byte{pattern(3, 10)})
}
