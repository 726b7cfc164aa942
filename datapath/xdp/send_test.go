// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

func outgoing(payloads ...string) *batch.Tx {
	tx := &batch.Tx{
		Local:    batch.AddrFrom(netip.MustParseAddrPort("10.0.0.1:443")),
		Remote:   batch.AddrFrom(netip.MustParseAddrPort("10.0.0.2:5000")),
		LocalMAC: [6]byte{2, 0, 0, 0, 0, 1}, NextHopMAC: [6]byte{2, 0, 0, 0, 0, 2}, TOS: 3,
	}
	for _, p := range payloads {
		tx.Length[tx.Count] = uint16(len(p))
		tx.Total += uint32(copy(tx.Data[tx.Total:], p))
		tx.Count++
	}
	return tx
}

func TestSendMakesAFrameOfEachDatagram(t *testing.T) {
	r := newRig(t)
	want := []string{"one", "and another", "x"}
	if errno := r.queue.transmit(outgoing(want...)); errno != 0 {
		t.Fatal(errno)
	}
	var got []string
	for _, f := range r.wire.sent {
		var p frame.Packet
		if v := frame.Parse(f, &p); v != frame.OK {
			t.Fatalf("frame %x: %v", f, v)
		}
		if p.Source != hostIP || p.Destination != peerIP || p.SourcePort != 443 || p.DestinationPort != 5000 ||
			p.TrafficClass != 3 || p.SourceMAC[5] != 1 || p.DestinationMAC[5] != 2 {
			t.Errorf("%+v", p)
		}
		got = append(got, string(f[p.Offset:p.Offset+p.Length]))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || r.wire.kicks != 1 {
		t.Errorf("sent %q with %d kicks, want %q with one", got, r.wire.kicks, want)
	}
}

// All or none: a kernel socket has what finds no room.
func TestSendWithoutRoom(t *testing.T) {
	r := newRig(t)
	r.wire.room = 2
	if errno := r.queue.transmit(outgoing("a", "b", "c")); errno != unix.ENOBUFS || len(r.wire.sent) != 0 {
		t.Errorf("%v, %d frames sent", errno, len(r.wire.sent))
	}
}

func TestSendOfMixedFamiliesIsRefused(t *testing.T) {
	r := newRig(t)
	tx := outgoing("a")
	tx.Remote = batch.AddrFrom(netip.MustParseAddrPort("[fd00::1]:5000"))
	if errno := r.queue.transmit(tx); errno != unix.EAFNOSUPPORT || len(r.wire.sent) != 0 {
		t.Errorf("%v, %d frames sent", errno, len(r.wire.sent))
	}
}

// The kernel takes a part with each call: all are made until it takes no more, and the rest
// goes when the socket has room.
func TestSendGoesOn(t *testing.T) {
	r := newRig(t)
	r.queue.endpoint = r.ep
	r.wire.takes = 2
	if errno := r.queue.transmit(outgoing("a", "b", "c", "d", "e")); errno != 0 || r.wire.left != 0 || r.wire.kicks != 3 || r.queue.awaiting {
		t.Errorf("%v: %d left after %d calls, awaiting %v", errno, r.wire.left, r.wire.kicks, r.queue.awaiting)
	}
	r.wire.takes = -1 // busy
	r.wire.left, r.wire.kicks = 0, 0
	if errno := r.queue.transmit(outgoing("a", "b")); errno != 0 || r.wire.kicks > 3 || r.ep.Events&unix.EPOLLOUT == 0 {
		t.Errorf("%v: %d calls, events %x", errno, r.wire.kicks, r.ep.Events)
	}
	r.wire.takes = 0
	r.turn.Events = unix.EPOLLOUT
	r.queue.Turn(r.ep, r.turn)
	if r.wire.left != 0 || r.ep.Events&unix.EPOLLOUT != 0 {
		t.Errorf("%d left when there is room, events %x", r.wire.left, r.ep.Events)
	}
}

// kernelSocket opens a UDP socket as a datapath has it, and one that hears it.
func kernelSocket(t *testing.T) (ep *batch.Endpoint, hears *net.UDPConn) {
	t.Helper()
	sends, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(sends) })
	hears, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hears.Close() })
	return &batch.Endpoint{Kind: batch.KindUDP, FD: int32(sends), IsV4: true}, hears
}

func TestWhoSends(t *testing.T) {
	cases := []struct {
		name            string
		kernelSends     bool
		own             bool // the peer is this host
		room            int
		frames, kernels int
	}{
		{"AF_XDP", false, false, 8, 2, 0},
		{"AF_XDP, this host", false, true, 8, 2, 0},
		{"AF_XDP without room", false, false, 1, 0, 2},
		{"kernel", true, false, 8, 0, 2},
		{"kernel, this host", true, true, 8, 2, 0},
		{"kernel, this host, without room", true, true, 0, 0, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			kernel, hears := kernelSocket(t)
			to := hears.LocalAddr().(*net.UDPAddr).AddrPort()
			tx := outgoing("one", "two")
			tx.Remote, tx.Local = batch.AddrFrom(to), batch.AddrFrom(netip.MustParseAddrPort("127.0.0.1:0"))
			r.wire.room, r.queue.kernelSends = c.room, c.kernelSends
			if c.own {
				r.queue.engine.net.own.set([]netip.Addr{to.Addr()})
			}
			if status, _ := r.queue.Send(kernel, tx); status != 0 {
				t.Fatalf("status %d", status)
			}
			if len(r.wire.sent) != c.frames {
				t.Errorf("%d frames, want %d", len(r.wire.sent), c.frames)
			}
			b := make([]byte, 100)
			for range c.kernels {
				if _, err := hears.Read(b); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestTransmit(t *testing.T) {
	if !TransmitAuto.byKernel(false) || TransmitAuto.byKernel(true) || !TransmitKernel.byKernel(true) || TransmitXDP.byKernel(false) {
		t.Error("who sends where the kernel copies, or does not")
	}
}
