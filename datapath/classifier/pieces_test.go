// SPDX-License-Identifier: MIT

package classifier

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// A driver gives a packet in several pieces, of which the first ends at any byte.
func TestPieces(t *testing.T) {
	s := newHost(t)
	s.takePort(sharedPort+100, Shared(cibir.Encoding{Length: 20, SourceOffset: 3, DestinationOffset: 200}))
	e := s.ports[sharedPort+100].Encoding
	s.putIdentifier(sharedPort+100, identifier(20, 0x12345678), busySlot)
	list := accepted()
	list["options"] = ipv4(here4, unix.IPPROTO_UDP, make([]byte, 40), udp(sharedPort, long(usual, identifier(usual.Length, 1))))
	list["long identifier in a long header"] = packet(here4, sharedPort+100, long(e, identifier(20, 0x12345678)))
	list["long identifier in a short header"] = packet(here6, sharedPort+100, short(e, identifier(20, 0x12345678)))
	for name, p := range list {
		met := map[Reason]int{}
		for n := atIP; n < len(p)-1; n++ {
			met[s.tryArrival(arrival{packet: p, first: n})]++
			s.tryArrival(arrival{packet: p[:len(p)-1], first: n}) // ends too early, in its last piece
		}
		if len(met) != 2 || met[Malformed] == 0 || met[Redirected] == 0 {
			t.Errorf("%s: %v", name, met)
		}
	}
}

// More than a page, which a jumbo frame may have.
func TestJumbo(t *testing.T) {
	s := newSubject(t, Options{})
	s.setAddresses(here...)
	s.takePort(exclusivePort, Exclusive(busySlot))
	s.putSocket(busySlot, 0)
	for _, to := range here {
		for _, n := range []int{3000, 5000, 9000} {
			p := packet(to, exclusivePort, make([]byte, n))
			s.want(Redirected, p)
			s.want(Malformed, p[:len(p)-1])
		}
	}
	s.wantCounted()
}
