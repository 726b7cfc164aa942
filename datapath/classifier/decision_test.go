// SPDX-License-Identifier: MIT

package classifier

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// As MsQuic has it on Linux.
var usual = cibir.Encoding{Length: 4, SourceOffset: 2, DestinationOffset: 2}

const (
	exclusivePort = 443
	sharedPort    = 4433
	emptyPort     = 4434 // shared by nobody
	deadPort      = 4435 // exclusive to a slot without socket
	busySlot      = 5
	lastSlot      = MaxSlots - 1
	deadSlot      = 77
)

var (
	here4  = netip.MustParseAddr("10.0.0.2")
	here6  = netip.MustParseAddr("fd00::2")
	there4 = netip.MustParseAddr("10.0.0.3")
	there6 = netip.MustParseAddr("fd00::3")
	here   = []netip.Addr{here4, here6}
)

// newHost is a subject with something of everything. It also checks that the test leaks no descriptor.
func newHost(t testing.TB) *subject {
	t.Helper()
	netnstest.CheckFDs(t)
	s := newSubject(t, Options{LongestPacket: 2000})
	s.setAddresses(here...)
	s.takePort(exclusivePort, Exclusive(busySlot))
	s.takePort(deadPort, Exclusive(deadSlot))
	s.takePort(sharedPort, Shared(usual))
	s.takePort(emptyPort, Shared(usual))
	s.putIdentifier(sharedPort, identifier(usual.Length, 1), busySlot)
	s.putIdentifier(sharedPort, identifier(usual.Length, 2), lastSlot)
	s.putIdentifier(sharedPort, identifier(usual.Length, 3), deadSlot)
	s.putSocket(busySlot, 0)
	s.putSocket(lastSlot, 0)
	t.Cleanup(func() { s.TB = t; s.wantCounted() })
	return s
}

// accepted are packets that are redirected, by name.
func accepted() map[string][]byte {
	list := map[string][]byte{}
	for _, to := range here {
		list[fmt.Sprintf("exclusive, %v", to)] = packet(to, exclusivePort, []byte("payload"))
		for n := 1; n <= 2; n++ {
			id := identifier(usual.Length, n)
			list[fmt.Sprintf("long %v, %v", id, to)] = packet(to, sharedPort, long(usual, id))
			list[fmt.Sprintf("short %v, %v", id, to)] = packet(to, sharedPort, short(usual, id))
		}
	}
	return list
}

func TestAccepted(t *testing.T) {
	s := newHost(t)
	for name, p := range accepted() {
		t.Run(name, func(t *testing.T) {
			s.TB = t
			s.want(Redirected, p)
		})
	}
}

func TestPassedOn(t *testing.T) {
	s := newHost(t)
	known, unknown := identifier(usual.Length, 1), identifier(usual.Length, 9)
	for _, to := range here {
		for _, test := range []struct {
			name   string
			reason Reason
			packet []byte
		}{
			{"unknown identifier, long", UnknownIdentifier, packet(to, sharedPort, long(usual, unknown))},
			{"unknown identifier, short", UnknownIdentifier, packet(to, sharedPort, short(usual, unknown))},
			{"identifier of another port", UnknownIdentifier, packet(to, emptyPort, short(usual, known))},
			{"identifier in the other place", UnknownIdentifier, packet(to, sharedPort, short(cibir.Encoding{DestinationOffset: 3}, known))},
			{"identifier of a slot without socket", NoSocket, packet(to, sharedPort, short(usual, identifier(usual.Length, 3)))},
			{"port of a slot without socket", NoSocket, packet(to, deadPort, []byte("payload"))},
			{"empty datagram", TooShort, packet(to, sharedPort, nil)},
			{"no source connection ID", NoIdentifier, packet(to, sharedPort, header(8, nil))},
			{"port with the bytes swapped", NoPort, packet(to, exclusivePort>>8|exclusivePort&0xff<<8, []byte("payload"))},
			{"too long", TooLong, packet(to, exclusivePort, make([]byte, 2000))},
			{"too long behind the datagram", TooLong, behind(to, udp(exclusivePort, make([]byte, 1000)), make([]byte, 1000))},
		} {
			t.Run(fmt.Sprintf("%s, %v", test.name, to), func(t *testing.T) {
				s.TB = t
				s.want(test.reason, test.packet)
			})
		}
	}
	s.TB = t
	s.want(Redirected, packet(here4, exclusivePort, nil))
	s.want(Redirected, packet(here4, exclusivePort, make([]byte, 2000-14-20-8)))
	s.want(TooLong, packet(here4, exclusivePort, make([]byte, 2000-14-20-8+1)))
	s.want(NotLocal, packet(there4, exclusivePort, nil))
	s.want(NotLocal, packet(there6, sharedPort, short(usual, known)))
	s.want(NotLocal, packet(netip.MustParseAddr("255.255.255.255"), exclusivePort, nil))
	s.want(NotLocal, packet(netip.MustParseAddr("ff02::1"), exclusivePort, nil))
	s.want(NotLocal, packet(netip.MustParseAddr("::"), exclusivePort, nil))
	mapped := netip.AddrFrom16(here4.As16())
	s.want(NotLocal, ipv6(mapped, unix.IPPROTO_UDP, udp(exclusivePort, nil)))
}

func TestEveryPort(t *testing.T) {
	s := newHost(t)
	for port := range 1 << 16 {
		s.try(packet(here[port%2], uint16(port), []byte("payload")))
	}
}

// Every port has another owner.
func TestEveryPortTaken(t *testing.T) {
	s := newHost(t)
	for port := range 1 << 16 {
		s.takePort(uint16(port), Exclusive(uint32(port%MaxSlots)))
	}
	for slot := range uint32(MaxSlots) {
		if !s.sockets[place{slot, 0}] {
			s.putSocket(slot, 0)
		}
	}
	for port := range 1 << 16 {
		s.want(Redirected, packet(here[port%2], uint16(port), nil))
	}
	list, err := s.c.Ports()
	check(t, err)
	if len(list) != 1<<16 {
		t.Errorf("%d ports", len(list))
	}
}

func TestEveryEthertype(t *testing.T) {
	s := newHost(t)
	p4, p6 := packet(here4, exclusivePort, []byte("payload")), packet(here6, exclusivePort, []byte("payload"))
	for ethertype := range 1 << 16 {
		s.try(with16(p4, atEthertype, uint16(ethertype)))
		if ethertype%8 == unix.ETH_P_IPV6%8 {
			s.try(with16(p6, atEthertype, uint16(ethertype)))
		}
	}
}

func TestEveryProtocol(t *testing.T) {
	s := newHost(t)
	for protocol := range 1 << 8 {
		s.try(ipv4(here4, byte(protocol), nil, udp(exclusivePort, nil)))
		s.try(ipv6(here6, byte(protocol), udp(exclusivePort, nil)))
	}
}

func TestEveryVersionAndHeaderLength(t *testing.T) {
	s := newHost(t)
	for b := range 1 << 8 {
		for _, to := range here {
			p := packet(to, exclusivePort, make([]byte, 64))
			s.try(with(p, atIP, byte(b)))
			s.try(append(p[:atIP], append([]byte{byte(b)}, make([]byte, 60)...)...))
		}
	}
}

func TestOptions(t *testing.T) {
	s := newHost(t)
	for n := 0; n <= 40; n += 4 {
		for name, payload := range map[string][]byte{"long": long(usual, identifier(usual.Length, 1)), "short": short(usual, identifier(usual.Length, 2))} {
			p := ipv4(here4, unix.IPPROTO_UDP, make([]byte, n), udp(sharedPort, payload))
			if got := s.try(p); got != Redirected {
				t.Errorf("%d bytes of options, %s: %v", n, name, got)
			}
		}
	}
}

func TestEveryFragmentField(t *testing.T) {
	s := newHost(t)
	p := packet(here4, exclusivePort, []byte("payload"))
	for n := range 1 << 16 {
		s.try(with16(p, atFragment, uint16(n)))
	}
	for _, fragment := range []uint16{0, 1, 8, 0xfff8, 0xffff} { // what follows looks like a datagram
		s.want(Fragment, ipv6(here6, unix.IPPROTO_FRAGMENT, slices.Concat([]byte{unix.IPPROTO_UDP, 0, byte(fragment >> 8), byte(fragment), 0, 0, 0, 1}, udp(exclusivePort, nil))))
	}
}

func TestExtensions(t *testing.T) {
	s := newHost(t)
	for _, next := range []byte{unix.IPPROTO_HOPOPTS, unix.IPPROTO_ROUTING, unix.IPPROTO_DSTOPTS, unix.IPPROTO_AH, unix.IPPROTO_MH} {
		s.want(Extension, ipv6(here6, next, slices.Concat([]byte{unix.IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0}, udp(exclusivePort, nil))))
	}
}

func TestTags(t *testing.T) {
	s := newHost(t)
	for _, to := range here {
		p := packet(to, exclusivePort, []byte("payload"))
		for range 3 { // one more each time
			for _, tag := range []uint16{unix.ETH_P_8021Q, unix.ETH_P_8021AD} {
				tagged := slices.Concat(p[:atEthertype], []byte{byte(tag >> 8), byte(tag), 0, 7}, p[atEthertype:])
				s.want(Tagged, tagged)
				if tag == unix.ETH_P_8021AD {
					p = tagged
				}
			}
		}
	}
}

// Every length in each of the fields that have one, up to far above those of the packet.
func TestEveryLength(t *testing.T) {
	s := newHost(t)
	p4, p6 := packet(here4, exclusivePort, []byte("payload")), packet(here6, exclusivePort, []byte("payload"))
	for n := 0; n < 1<<16; n++ {
		s.try(with16(p4, atTotalLength, uint16(n)))
		s.try(with16(p6, atLength6, uint16(n)))
		s.try(with16(p4, atUDP4+atUDPLength, uint16(n)))
		s.try(with16(p6, atUDP6+atUDPLength, uint16(n)))
		if n > 600 {
			n += 60
		}
	}
}

// Packets that end at every byte, whose headers do not know of it.
func TestCut(t *testing.T) {
	s := newHost(t)
	list := accepted()
	list["options"] = ipv4(here4, unix.IPPROTO_UDP, make([]byte, 40), udp(sharedPort, long(usual, identifier(usual.Length, 1))))
	for name, p := range list {
		for n := atIP; n < len(p); n++ {
			if got := s.try(p[:n]); got != Malformed {
				t.Errorf("%s, cut to %d of %d bytes: %v", name, n, len(p), got)
			}
		}
		s.want(Redirected, p)
		s.want(Redirected, append(p, make([]byte, 20)...)) // the padding of short frames
	}
}

// Datagrams that end at every byte.
func TestShortDatagrams(t *testing.T) {
	s := newHost(t)
	for _, to := range here {
		for _, payload := range [][]byte{long(usual, identifier(usual.Length, 1)), short(usual, identifier(usual.Length, 2))} {
			met := map[Reason]bool{}
			for n := range len(payload) + 1 {
				p := packet(to, sharedPort, payload[:n])
				met[s.try(p)] = true
				// What would follow is there, but does not belong to the IP packet, or to the datagram.
				s.try(append(p, payload[n:]...))
				s.try(behind(to, udp(sharedPort, payload[:n]), payload[n:]))
			}
			if len(met) != 2 || !met[TooShort] || !met[Redirected] {
				t.Errorf("%v", met)
			}
		}
	}
}

// Every length of an identifier, connection IDs that end around it, and identifiers that differ in a byte.
func TestEveryIdentifierLength(t *testing.T) {
	s := newHost(t)
	for length := uint8(1); length <= cibir.MaxIDLength; length++ {
		for _, offset := range []uint8{0, 1, 2, 9, 255 - length} {
			e := cibir.Encoding{Length: length, SourceOffset: offset, DestinationOffset: offset / 2}
			id := identifier(length, 0x0102030405060708)
			s.takePort(sharedPort, Shared(e))
			s.putIdentifier(sharedPort, id, lastSlot)
			s.tryAround(e, id)
			s.deleteIdentifier(sharedPort, id)
			s.want(UnknownIdentifier, packet(here4, sharedPort, short(e, id)))
		}
	}
}

func (s *subject) tryAround(e cibir.Encoding, id cibir.ID) {
	s.Helper()
	whole := long(e, id)
	for _, destination := range []int{0, 8, 20, 255} {
		for n := max(0, int(e.SourceOffset)-1); n <= min(255, int(e.SourceOffset)+int(e.Length)+2); n++ {
			source := slices.Concat(filler(int(e.SourceOffset)), id.Bytes(), []byte{1, 2})[:n]
			s.try(packet(here[n%2], sharedPort, header(destination, source)))
		}
	}
	for _, to := range here {
		s.want(Redirected, packet(to, sharedPort, whole))
		s.want(Redirected, packet(to, sharedPort, short(e, id)))
	}
	for i := range int(e.Length) {
		other := slices.Clone(id.Bytes())
		other[i] ^= 0x80 >> (i % 8)
		otherID, err := cibir.NewID(other)
		check(s, err)
		s.want(UnknownIdentifier, packet(here6, sharedPort, long(e, otherID)))
		s.want(UnknownIdentifier, packet(here4, sharedPort, short(e, otherID)))
	}
}

func TestEveryConnectionIDLength(t *testing.T) {
	s := newHost(t)
	source := slices.Concat(filler(int(usual.SourceOffset)), identifier(usual.Length, 1).Bytes(), filler(255))
	for destination := range 256 {
		for n := range 21 {
			p := packet(here[n%2], sharedPort, header(destination, source[:n]))
			s.try(p)
			s.try(p[:len(p)-1])
		}
	}
	for n := range 256 {
		s.try(packet(here[n%2], sharedPort, header(8, source[:n])))
	}
}

func TestEveryOffset(t *testing.T) {
	s := newHost(t)
	id := identifier(usual.Length, 1)
	for offset := range 256 - int(usual.Length) {
		e := cibir.Encoding{Length: usual.Length, SourceOffset: uint8(offset), DestinationOffset: 255 - usual.Length - uint8(offset)}
		s.takePort(sharedPort, Shared(e))
		s.want(Redirected, packet(here[offset%2], sharedPort, long(e, id)))
		s.want(Redirected, packet(here[offset%2], sharedPort, short(e, id)))
	}
}

// The same bytes as an identifier of another length are another one, on the same port or not.
func TestIdentifiersOfOtherLengths(t *testing.T) {
	s := newHost(t)
	for length := uint8(1); length < cibir.MaxIDLength; length++ {
		e := cibir.Encoding{Length: length}
		shorter, err := cibir.NewID(make([]byte, length))
		check(t, err)
		longer, err := cibir.NewID(make([]byte, length+1))
		check(t, err)
		s.takePort(sharedPort, Shared(e))
		s.putIdentifier(sharedPort, longer, lastSlot)
		s.want(UnknownIdentifier, packet(here4, sharedPort, short(e, shorter)))
		s.putIdentifier(sharedPort, shorter, busySlot)
		s.want(Redirected, packet(here4, sharedPort, short(e, shorter)))
		s.deleteIdentifier(sharedPort, longer)
		s.deleteIdentifier(sharedPort, shorter)
	}
}
