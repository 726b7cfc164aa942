// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLocalAddresses(t *testing.T) {
	h := newHost(t)
	h.ip(t, `
		addr add 10.0.0.77/24 dev a
		addr add 192.0.2.1 peer 192.0.2.2 dev a
		-6 addr add fd00:a::77/64 dev a nodad
		-6 addr add fd00:c::1 peer fd00:c::2 dev b nodad`)
	all := h.localAddresses(t)
	for _, want := range []Adapter{
		{netip.MustParseAddr("127.0.0.1"), 1, IfTypeLoopback, OperUp},
		{netip.MustParseAddr("::1"), 1, IfTypeLoopback, OperUp},
		{netip.MustParseAddr("10.0.0.1"), h.a.Index, IfTypeEthernet, OperUp},
		{netip.MustParseAddr("10.0.0.77"), h.a.Index, IfTypeEthernet, OperUp},
		{netip.MustParseAddr("192.0.2.1"), h.a.Index, IfTypeEthernet, OperUp},
		{netip.MustParseAddr("fd00:a::1"), h.a.Index, IfTypeEthernet, OperUp},
		{netip.MustParseAddr("fd00:a::77"), h.a.Index, IfTypeEthernet, OperUp},
		{netip.MustParseAddr("10.1.0.1"), h.b.Index, IfTypeEthernet, OperUp},
		{netip.MustParseAddr("fd00:b::1"), h.b.Index, IfTypeEthernet, OperUp},
		{netip.MustParseAddr("fd00:c::1"), h.b.Index, IfTypeEthernet, OperUp},
	} {
		if !slices.Contains(all, want) {
			t.Errorf("%+v is missing", want)
		}
	}
	const linkLocal = 2 // one of each interface
	if want := 10 + linkLocal; len(all) != want {
		t.Errorf("%d addresses, want %d: %+v", len(all), want, all)
	}
	h.ns.Do(t, func() error {
		for _, a := range all {
			if a.Addr.Zone() != "" || a.Addr.Is4In6() {
				t.Errorf("%v has a zone or is v4-mapped", a.Addr)
			}
			if err := bind(a.Addr, a.Index); err != nil {
				t.Errorf("cannot bind to %v: %v", a.Addr, err)
			}
		}
		return nil
	})
}

func TestLocalAddressesNone(t *testing.T) {
	h := newHost(t)
	h.ip(t, "addr flush dev lo\n addr flush dev a\n addr flush dev b")
	if all := h.localAddresses(t); len(all) != 0 {
		t.Errorf("addresses %+v, want none", all)
	}
}

func TestLocalAddressesOfInterfaceDown(t *testing.T) {
	h := newHost(t)
	h.ip(t, "link set dev a down")
	if a := h.find(t, "10.0.0.1"); a.Status != OperDown {
		t.Errorf("state of an interface set down: %+v", a)
	}
}

func TestLocalAddressesOfLoopbackDown(t *testing.T) {
	h := newHost(t)
	h.ip(t, "link set lo down")
	if a := h.find(t, "127.0.0.1"); a.Status != OperDown {
		t.Errorf("state of loopback set down: %+v", a)
	}
}

func TestLocalAddressesWithoutCarrier(t *testing.T) {
	h := newHost(t)
	h.ip(t, `
		link add name c type veth peer name d
		addr add 10.2.0.1/24 dev c
		link set dev c up`)
	h.eventually(t, "c knows that its peer is down", func() (bool, error) {
		all, err := LocalAddresses()
		return slices.ContainsFunc(all, func(a Adapter) bool {
			return a.Addr == netip.MustParseAddr("10.2.0.1") && a.Status == OperLowerLayerDown
		}), err
	})
}

func TestLocalAddressesLeavesOutTentative(t *testing.T) {
	h := newHost(t)
	h.ns.Sysctl(t, "net/ipv6/conf/a/accept_dad", "1")
	h.ns.Sysctl(t, "net/ipv6/conf/a/dad_transmits", "100") // seconds, for ever in a test
	h.ip(t, "-6 addr add fd00:a::55/64 dev a")
	h.wantUnbindable(t, "fd00:a::55")
}

func TestLocalAddressesLeavesOutDuplicate(t *testing.T) {
	h := newHost(t)
	h.ns.Sysctl(t, "net/ipv6/conf/a/accept_dad", "1")
	h.ip(t, "-6 addr add fd00:a::2/64 dev a") // the other end has it
	h.eventually(t, "the duplicate is found", func() (failed bool, err error) {
		err = withConn(func(c *conn) error {
			failed, err = c.hasFlag("fd00:a::2", unix.IFA_F_DADFAILED)
			return err
		})
		return failed, err
	})
	h.wantUnbindable(t, "fd00:a::2")
}

func TestLocalAddressesKeepsOptimistic(t *testing.T) {
	h := newHost(t)
	h.ns.Sysctl(t, "net/ipv6/conf/a/accept_dad", "1")
	h.ns.Sysctl(t, "net/ipv6/conf/a/dad_transmits", "100")
	h.ns.Sysctl(t, "net/ipv6/conf/a/optimistic_dad", "1")
	h.ns.Sysctl(t, "net/ipv6/conf/a/use_optimistic", "1")
	h.ip(t, "-6 addr add fd00:a::66/64 dev a optimistic")
	a := h.find(t, "fd00:a::66")
	h.ns.Do(t, func() error { return bind(a.Addr, a.Index) })
}

// So many that the kernel sends them in several parts.
func TestLocalAddressesMany(t *testing.T) {
	h := newHost(t)
	const count = 2000
	var batch strings.Builder
	ip := netip.MustParseAddr("172.16.0.0")
	for range count {
		ip = ip.Next()
		fmt.Fprintf(&batch, "addr add %v/12 dev a\n", ip)
	}
	file := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	before := len(h.localAddresses(t))
	h.ip(t, "-batch "+file)
	if got := len(h.localAddresses(t)) - before; got != count {
		t.Errorf("%d more addresses, want %d", got, count)
	}
	h.find(t, ip.String())
}

// Interfaces and addresses come and go while the tables are read.
func TestLocalAddressesWhileTheyChange(t *testing.T) {
	h := newHost(t)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			h.ip(t, "link add name x type veth peer name y\n addr add 10.9.0.1/24 dev x\n link del x")
		}
	}()
	for range 300 {
		h.find(t, "10.1.0.1")
	}
	close(stop)
	<-done
}

func TestBindable(t *testing.T) {
	for flags, want := range map[uint32]bool{
		0:                     true,
		unix.IFA_F_PERMANENT:  true,
		unix.IFA_F_DEPRECATED: true,
		unix.IFA_F_TENTATIVE:  false,
		unix.IFA_F_DADFAILED:  false,
		unix.IFA_F_TENTATIVE | unix.IFA_F_OPTIMISTIC: true,
		unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED:  false,
		unix.IFA_F_OPTIMISTIC | unix.IFA_F_DADFAILED: false,
	} {
		if got := (address{flags: flags}).bindable(); got != want {
			t.Errorf("flags %#x: bindable %v, want %v", flags, got, want)
		}
	}
}

func (h host) localAddresses(t *testing.T) (all []Adapter) {
	t.Helper()
	h.ns.Do(t, func() (err error) {
		all, err = LocalAddresses()
		return err
	})
	return all
}

// find returns the one entry of an address.
func (h host) find(t *testing.T, ip string) Adapter {
	t.Helper()
	all := h.localAddresses(t)
	i := slices.IndexFunc(all, func(a Adapter) bool { return a.Addr == netip.MustParseAddr(ip) })
	if i < 0 {
		t.Fatalf("%s is not in %+v", ip, all)
	}
	return all[i]
}

// wantUnbindable checks that an address of interface a is left out, and that
// it is so for the stated reason.
func (h host) wantUnbindable(t *testing.T, ip string) {
	t.Helper()
	for _, a := range h.localAddresses(t) {
		if a.Addr == netip.MustParseAddr(ip) {
			t.Errorf("%s is there: %+v", ip, a)
		}
	}
	h.ns.Do(t, func() error {
		if err := bind(netip.MustParseAddr(ip), h.a.Index); !errors.Is(err, unix.EADDRNOTAVAIL) {
			t.Errorf("bind to %s: %v, want EADDRNOTAVAIL", ip, err)
		}
		return nil
	})
}

// hasFlag says whether the kernel lists an address with an IFA_F_ flag.
func (c *conn) hasFlag(ip string, flag uint32) (bool, error) {
	list, err := c.addresses()
	return slices.ContainsFunc(list, func(a address) bool {
		return a.ip == netip.MustParseAddr(ip) && a.flags&flag != 0
	}), err
}

// bind binds a UDP socket, as MsQuic would.
func bind(ip netip.Addr, ifindex int) error {
	family, sa := unix.AF_INET, unix.Sockaddr(nil)
	if ip.Is4() {
		sa = &unix.SockaddrInet4{Addr: ip.As4()}
	} else {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Addr: ip.As16(), ZoneId: uint32(ifindex)}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, sa)
}
