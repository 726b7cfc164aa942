// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
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
	if errno := r.queue.Send(outgoing(want...)); errno != 0 {
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

// All or none: the caller sends the rest by the kernel's socket.
func TestSendWithoutRoom(t *testing.T) {
	r := newRig(t)
	r.wire.room = 2
	if errno := r.queue.Send(outgoing("a", "b", "c")); errno != unix.ENOBUFS || len(r.wire.sent) != 0 {
		t.Errorf("%v, %d frames sent", errno, len(r.wire.sent))
	}
}

func TestSendOfMixedFamiliesIsRefused(t *testing.T) {
	r := newRig(t)
	tx := outgoing("a")
	tx.Remote = batch.AddrFrom(netip.MustParseAddrPort("[fd00::1]:5000"))
	if errno := r.queue.Send(tx); errno != unix.EAFNOSUPPORT || len(r.wire.sent) != 0 {
		t.Errorf("%v, %d frames sent", errno, len(r.wire.sent))
	}
}
