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
	if errno, _ := r.queue.transmit(outgoing(want...), false); errno != 0 {
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
	if errno, _ := r.queue.transmit(outgoing("a", "b", "c"), false); errno != unix.ENOBUFS || len(r.wire.sent) != 0 {
		t.Errorf("%v, %d frames sent", errno, len(r.wire.sent))
	}
}

func TestSendOfMixedFamiliesIsRefused(t *testing.T) {
	r := newRig(t)
	tx := outgoing("a")
	tx.Remote = batch.AddrFrom(netip.MustParseAddrPort("[fd00::1]:5000"))
	if errno, _ := r.queue.transmit(tx, false); errno != unix.EAFNOSUPPORT || len(r.wire.sent) != 0 {
		t.Errorf("%v, %d frames sent", errno, len(r.wire.sent))
	}
}

// The kernel takes a part with each call: all are made until it takes no more, and the rest
// goes when the socket has room.
func TestSendGoesOn(t *testing.T) {
	r := newRig(t)
	r.queue.endpoint = r.ep
	r.wire.takes = 2
	if errno, _ := r.queue.transmit(outgoing("a", "b", "c", "d", "e"), false); errno != 0 || r.wire.left != 0 || r.wire.kicks != 3 || r.queue.awaiting {
		t.Errorf("%v: %d left after %d calls, awaiting %v", errno, r.wire.left, r.wire.kicks, r.queue.awaiting)
	}
	r.wire.takes = -1 // busy
	r.wire.left, r.wire.kicks = 0, 0
	if errno, _ := r.queue.transmit(outgoing("a", "b"), false); errno != 0 || r.wire.kicks > 3 || r.ep.Events&unix.EPOLLOUT == 0 {
		t.Errorf("%v: %d calls, events %x", errno, r.wire.kicks, r.ep.Events)
	}
	r.wire.takes = 0
	r.turn.Events = unix.EPOLLOUT
	r.queue.Turn(r.ep, r.turn)
	if r.wire.left != 0 || r.ep.Events&unix.EPOLLOUT != 0 {
		t.Errorf("%d left when there is room, events %x", r.wire.left, r.ep.Events)
	}
}

// later sends what leaves its kick to others.
func (r *rig) later(payloads ...string) {
	r.t.Helper()
	if errno, by := r.queue.transmit(outgoing(payloads...), true); errno != 0 || by != batch.Submitted {
		r.t.Fatalf("%v, sent by %d", errno, by)
	}
}

// One kick is for all that have left it for later, whoever makes it.
func TestSendsShareAKick(t *testing.T) {
	r := newRig(t)
	if r.queue.Kick() || r.wire.kicks != 0 {
		t.Errorf("%d kicks for nothing", r.wire.kicks)
	}
	r.later("a")
	r.later("b", "c")
	if r.wire.kicks != 0 || r.wire.left != 3 {
		t.Errorf("%d kicks, %d left", r.wire.kicks, r.wire.left)
	}
	if !r.queue.Kick() || r.wire.kicks != 1 || r.wire.left != 0 {
		t.Errorf("%d kicks, %d left", r.wire.kicks, r.wire.left)
	}
	r.later("d")
	if errno, by := r.queue.transmit(outgoing("e"), false); errno != 0 || by != batch.ByQueue || r.wire.left != 0 {
		t.Errorf("%v, sent by %d, %d left", errno, by, r.wire.left)
	}
	if r.queue.Kick() || r.wire.kicks != 2 {
		t.Errorf("%d kicks for what another send has kicked for", r.wire.kicks)
	}
}

// What the kernel does not take with a late kick goes on as after an early one.
func TestLateKickGoesOn(t *testing.T) {
	r := newRig(t)
	r.queue.endpoint = r.ep
	r.wire.takes = -1 // busy
	r.later("a", "b")
	if !r.queue.Kick() || r.ep.Events&unix.EPOLLOUT == 0 {
		t.Errorf("events %x", r.ep.Events)
	}
	r.wire.takes = 0
	r.turn.Events = unix.EPOLLOUT
	r.queue.Turn(r.ep, r.turn)
	if r.wire.left != 0 || r.ep.Events&unix.EPOLLOUT != 0 {
		t.Errorf("%d left when there is room, events %x", r.wire.left, r.ep.Events)
	}
}

// A ring that is full of what waits for a kick has room.
func TestLateKickIsNoLackOfRoom(t *testing.T) {
	r := newRig(t)
	r.wire.room, r.wire.freed = 2, 2
	r.later("a", "b")
	r.later("c")
	if r.wire.kicks != 1 || r.wire.left != 1 {
		t.Errorf("%d kicks, %d left", r.wire.kicks, r.wire.left)
	}
}

// The first that is lost is the last: others have the kernel's socket as long as kicks fail.
func TestLateKickFails(t *testing.T) {
	r := newRig(t)
	r.later("a")
	r.wire.down = true
	r.queue.Kick()
	for range 2 {
		if errno, _ := r.queue.transmit(outgoing("b"), true); errno != unix.ENETDOWN {
			t.Errorf("sent while the interface is down: %v", errno)
		}
	}
	r.wire.down = false
	if errno, by := r.queue.transmit(outgoing("c"), true); errno != 0 || by != batch.ByQueue {
		t.Errorf("%v, sent by %d", errno, by)
	}
	r.later("d")
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
			if status, _ := r.queue.Send(kernel, tx, false); status != 0 {
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
