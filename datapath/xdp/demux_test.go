// SPDX-License-Identifier: MIT

package xdp

import (
	"testing"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

// In map mode no kernel says that an address is in use.
func TestWhoCrossesWhom(t *testing.T) {
	e := cibir.Encoding{Length: 1, SourceOffset: 9, DestinationOffset: 9}
	one, _ := cibir.NewID([]byte{1})
	two, _ := cibir.NewID([]byte{2})
	six := frame.IP{0: 0xfd, 15: 1}
	any, any4 := receiver{}, receiver{local: anyIP4}
	at4, at6 := receiver{local: hostIP}, receiver{local: six}
	client := receiver{connected: true, local: hostIP, remote: peerIP, remotePort: 1}
	otherPort := receiver{connected: true, local: hostIP, remote: peerIP, remotePort: 2}
	otherLocal := receiver{connected: true, local: peerIP, remote: peerIP, remotePort: 1}
	shared := receiver{id: one, encoding: e}
	for _, c := range []struct {
		name    string
		a, b    receiver
		crosses bool
	}{
		{"two that hear all", any, any, true},
		{"all, and IPv4", any, any4, true},
		{"all, and one address", any, at4, true},
		{"IPv4, and an IPv4 address", any4, at4, true},
		{"IPv4, and an IPv6 address", any4, at6, false},
		{"two addresses", at4, at6, false},
		{"a listener and a client", any, client, false},
		{"the same peer", client, client, true},
		{"another port of the peer", client, otherPort, false},
		{"another address of ours", client, otherLocal, false},
		{"one identifier", shared, shared, true},
		{"two identifiers", shared, receiver{id: two, encoding: e}, false},
		{"two encodings", shared, receiver{id: two, encoding: cibir.Encoding{Length: 1}}, true},
		{"with an identifier and without", shared, any, true},
	} {
		if c.a.crosses(&c.b) != c.crosses || c.b.crosses(&c.a) != c.crosses {
			t.Errorf("%s: %v and %v, want %v", c.name, c.a.crosses(&c.b), c.b.crosses(&c.a), c.crosses)
		}
	}
}

func TestAListenerHearsItsAddress(t *testing.T) {
	r := newRig(t)
	d := &r.queue.engine.demux
	d.add(&receiver{queue: r.socket(0), port: 443, local: peerIP})
	d.add(&receiver{queue: r.socket(1), port: 444, local: hostIP})
	d.add(&receiver{queue: r.socket(2), port: 445, local: anyIP4})
	for _, port := range []uint16{443, 444, 445} {
		r.wire.arriving = append(r.wire.arriving, packet(t, 5000, port, "x"))
	}
	got := r.run()
	if len(got[r.socket(0)]) != 0 || len(got[r.socket(1)]) != 1 || len(got[r.socket(2)]) != 1 {
		t.Errorf("%v", got)
	}
}

// What waits in the ring is sent before a datagram is given up.
func TestSendAloneMakesRoom(t *testing.T) {
	for _, c := range []struct {
		name        string
		room, after int
		errno       bool
		frames      int
	}{
		{"room", 2, 0, false, 2},
		{"room after a kick", 1, 2, false, 2},
		{"no room", 1, 0, true, 0},
	} {
		r := newRig(t)
		r.wire.room, r.wire.freed = c.room, c.after
		if errno, _ := r.queue.Send(nil, outgoing("a", "b"), false); (errno != 0) != c.errno || len(r.wire.sent) != c.frames {
			t.Errorf("%s: errno %d, %d frames", c.name, errno, len(r.wire.sent))
		}
	}
}
