// SPDX-License-Identifier: MIT

package classifier

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// wantAddresses fails unless the classifier has these.
func (s *subject) wantAddresses(want ...netip.Addr) {
	s.Helper()
	have, err := s.c.Addresses()
	check(s, err)
	slices.SortFunc(have, netip.Addr.Compare)
	slices.SortFunc(want, netip.Addr.Compare)
	if !slices.Equal(have, want) {
		s.Errorf("addresses %v, want %v", have, want)
	}
}

func TestAddressesComeAndGo(t *testing.T) {
	s := newHost(t)
	p := func(to netip.Addr) []byte { return packet(to, exclusivePort, nil) }
	for range 3 {
		s.want(Redirected, p(here4))
		s.want(Redirected, p(here6))
		s.want(NotLocal, p(there4))
		s.want(NotLocal, p(there6))
		s.setAddresses(there4, there6)
		s.want(NotLocal, p(here4))
		s.want(NotLocal, p(here6))
		s.want(Redirected, p(there4))
		s.want(Redirected, p(there6))
		s.setAddresses(here4, here6, there4)
		s.wantAddresses(here4, here6, there4)
		s.want(Redirected, p(there4))
		s.setAddresses(here...)
	}
	s.setAddresses()
	s.wantAddresses()
	s.want(NotLocal, p(here4))
	s.want(NotLocal, p(here6))
}

// However an address is written.
func TestAddressesAreNormal(t *testing.T) {
	s := newHost(t)
	check(t, s.c.SetAddresses(addresses("::ffff:10.0.0.2", "10.0.0.2", "fe80::1%eth0", "fe80::1%7", "fd00::2", "fd00::ffff:10.0.0.2")))
	linkLocal, endsLikeMapped := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fd00::ffff:10.0.0.2")
	s.wantAddresses(here4, here6, linkLocal, endsLikeMapped)
	for _, a := range []netip.Addr{linkLocal, endsLikeMapped} {
		s.local[a] = true
		s.want(Redirected, packet(a, exclusivePort, nil))
	}
}

// Who sends to them from a wire cannot mean well.
func TestAddressesOfNoWire(t *testing.T) {
	s := newHost(t)
	list := addresses("127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "::ffff:127.0.0.1")
	check(t, s.c.SetAddresses(append(list, netip.Addr{}, here4)))
	s.wantAddresses(here4)
	delete(s.local, here6)
	for _, a := range list {
		s.want(NotLocal, packet(a.Unmap(), exclusivePort, nil))
	}
	s.want(NotLocal, ipv6(netip.MustParseAddr("::ffff:127.0.0.1"), unix.IPPROTO_UDP, udp(exclusivePort, nil)))
}

// Each may have found its place where another was.
func TestManyAddresses(t *testing.T) {
	s := newHost(t)
	var list []netip.Addr
	for i := range uint32(MaxAddresses) {
		if i%2 == 0 {
			list = append(list, netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0a000000+i))))
		} else {
			b := netip.MustParseAddr("fd00:1::").As16()
			binary.BigEndian.PutUint32(b[8+i%5:], i)
			list = append(list, netip.AddrFrom16(b))
		}
	}
	s.setAddresses() // what is to go goes last
	s.setAddresses(list...)
	for round := range 3 {
		for i, a := range list {
			s.try(packet(a, exclusivePort, nil))
			other := a.As16()
			other[(i+round)%16] ^= 1 << (i % 8)
			s.try(packet(netip.AddrFrom16(other).Unmap(), exclusivePort, nil))
		}
		s.setAddresses(list[:len(list)/2]...)
	}
	err := s.c.SetAddresses(append(list, there6))
	wantError(t, err, unix.E2BIG, "address ", "the map is full")
}
