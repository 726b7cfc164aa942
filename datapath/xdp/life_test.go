// SPDX-License-Identifier: MIT

package xdp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/ethtool"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// An engine without an interface serves the first that comes, for sockets that have
// been there before, and others beside it.
func TestInterfacesComeAndGo(t *testing.T) {
	h := newHost(t)
	h.open(Options{})
	h.listen(443)
	if err := h.engine.Why(); !errors.Is(err, errNone) {
		t.Errorf("without an interface: %v", err)
	}
	one := h.wire("one", 1, 0)
	h.until("one is served", h.serves("one", 1))
	if err := h.engine.Why(); err != nil {
		t.Errorf("served: %v", err)
	}
	h.until("it is said", func() bool { return h.noted("interface one is served by AF_XDP: native mode, copy, 1/1 queues") })
	one.reaches(443, "by one")
	one.answered("from one")

	steady := steadily(one)
	two := h.wire("two", 2, 0)
	h.until("two is served", h.serves("two", 1))
	two.reaches(443, "by two")
	two.answered("from two")
	if rules := h.engine.Rules(); rules != 2 {
		t.Errorf("%d rules of one socket on two interfaces", rules)
	}
	linkIn(t, h.ns, "two", func(n *netlink.Handle, l netlink.Link) error { return n.LinkDel(l) })
	h.until("two is gone", func() bool { return h.status("two").Name == "" })
	h.until("it is said", func() bool { return h.noted("interface two is not served by AF_XDP any more: ") })
	steady.end()
	one.reaches(443, "by one, still")
	one.answered("from one, still")

	two = h.wire("two", 2, 0) // a new one of that name
	h.until("two is served again", h.serves("two", 1))
	two.reaches(443, "by two again")
}

// sender sends all the time, and wants every datagram to arrive by AF_XDP.
type sender struct {
	*peer
	stop chan struct{}
	done sync.WaitGroup
	sent int
}

const steadyPort = 443

func steadily(p *peer) *sender {
	s := &sender{peer: p, stop: make(chan struct{})}
	s.done.Go(func() {
		for {
			select {
			case <-s.stop:
				return
			case <-time.After(100 * time.Microsecond): // the pace of the test, not a wait
			}
			s.send(steadyPort, numbered("steady", s.sent))
			s.sent++
		}
	})
	return s
}

func (s *sender) end() {
	s.Helper()
	close(s.stop)
	s.done.Wait()
	s.until("the last datagram of the steady sender", func() bool { return s.count(numbered("steady", s.sent-1)) == 1 })
	for i := range s.sent {
		if s.count(numbered("steady", i)) != 1 {
			s.Errorf("datagram %d of %d of the steady sender was lost", i, s.sent)
		}
	}
}

func TestDownAndUp(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 0)
	h.open(Options{})
	h.listen(443)
	p.reaches(443, "before")
	linkIn(t, h.ns, "eth", func(n *netlink.Handle, l netlink.Link) error { return n.LinkSetDown(l) })
	h.until("it is down", func() bool { s := h.status("eth"); return s.Served && !s.Up })
	linkIn(t, h.ns, "eth", func(n *netlink.Handle, l netlink.Link) error { return n.LinkSetUp(l) })
	p.reaches(443, "after")
	p.answered("from us")
}

// An address is one of the host's from the moment that the kernel announces it.
func TestAddresses(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 0)
	h.open(Options{})
	h.listen(443)
	p.reaches(443, "before")
	second := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 0, 1, 7), Mask: net.CIDRMask(24, 32)}}
	to := netip.MustParseAddrPort("10.0.1.7:443")
	linkIn(t, h.ns, "eth", func(n *netlink.Handle, l netlink.Link) error { return n.AddrAdd(l, second) })
	h.until("the second address is served", func() bool {
		p.sendTo(to, "second")
		return h.count("second") > 0
	})
	linkIn(t, h.ns, "eth", func(n *netlink.Handle, l netlink.Link) error { return n.AddrDel(l, second) })
	h.until("it is no address of ours", func() bool {
		p.sendTo(to, "no more")
		return h.counters("eth")[classifier.NotLocal] > 0
	})
	p.reaches(443, "the first, still")
}

func TestHardwareAddress(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 0)
	h.open(Options{})
	h.listen(443)
	p.reaches(443, "before")
	p.answered("before")
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 77}
	linkIn(t, h.ns, "eth", func(n *netlink.Handle, l netlink.Link) error { return n.LinkSetHardwareAddr(l, mac) })
	h.until("ways start from the new address", func() bool {
		w := p.answered("to the peer")
		return string(w.LocalMAC[:]) == string(mac)
	})
	p.reaches(443, "after")
}

// The lists go by the name that an interface has now.
func TestRename(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 0)
	other := h.wire("oth", 2, 0)
	h.open(Options{Deny: List{"off*"}})
	h.listen(443)
	p.reaches(443, "before")
	kernel := socketIn(t, h.ns, netip.MustParseAddrPort("0.0.0.0:443"))
	rename := func(from, to string) {
		linkIn(t, h.ns, from, func(n *netlink.Handle, l netlink.Link) error { return n.LinkSetName(l, to) })
	}
	steady := steadily(other)
	rename("eth", "off0")
	h.until("it is left", h.unserved("off0"))
	if s := h.status("off0"); !strings.Contains(s.Reason, "off*") {
		t.Errorf("the reason does not name the list: %q", s.Reason)
	}
	p.send(443, "by the kernel")
	h.hears(kernel, "by the kernel")
	rename("off0", "eth1")
	h.until("it is served again", h.serves("eth1", 1))
	p.reaches(443, "after")
	p.answered("from us")
	steady.end()
}

// More channels are served as they come. The kernel lets no channel go that has a socket.
func TestChannels(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 4)
	channels := func(ns *peer, rx, tx int) {
		p.end.NS.Do(t, func() error { return ethtool.SetQueues("peer", tx, rx) })
		h.ns.Do(t, func() error { return ethtool.SetQueues("eth", rx, tx) })
	}
	channels(p, 2, 2)
	other := h.wire("oth", 2, 0)
	h.open(Options{})
	h.listen(443)
	if s := h.status("eth"); s.Coverage != "2/2" {
		t.Errorf("coverage %s of two queues", s.Coverage)
	}
	p.reaches(443, "before")
	steady := steadily(other) // a veth itself is down for a moment
	h.ns.Do(t, func() error { return ethtool.SetQueues("eth", 4, 4) })
	h.until("four queues are served", h.serves("eth", 4))
	p.end.NS.Do(t, func() error { return ethtool.SetQueues("peer", 4, 4) })
	steady.end()
	h.until("datagrams come by the new queues", func() bool {
		fd := socketIn(t, p.end.NS, netip.AddrPortFrom(p.ip, 0)) // the kernel spreads sockets over queues
		p := *p
		p.fd = fd
		p.reaches(443, "spread")
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.byQ[2] > 0 && h.byQ[3] > 0
	})
	for range 4 {
		p.answered("by each queue in turn")
	}
	h.ns.Do(t, func() error {
		if err := ethtool.SetQueues("eth", 2, 2); !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("fewer channels, with sockets on them: %v", err)
		}
		return nil
	})
	if s := h.status("eth"); s.Coverage != "4/4" {
		t.Errorf("coverage %s of four queues", s.Coverage)
	}
}

// A queue that another program has keeps its interface from being served, by name, until the
// program goes.
func TestQueueOfAnother(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 2)
	foreign := h.occupy(p.here.Index, 1)
	h.open(Options{})
	h.listen(443)
	s := h.status("eth")
	if s.Served || len(s.Queues) != 0 || !strings.Contains(s.Reason, "queue 1: ") || !strings.Contains(s.Reason, "EBUSY") && !strings.Contains(s.Reason, "busy") {
		t.Errorf("status %+v", s)
	}
	if err := h.engine.Why(); err == nil || !strings.Contains(err.Error(), "interface eth: queue 1: ") {
		t.Errorf("why: %v", err)
	}
	h.until("it is said", func() bool { return h.noted("interface eth is not served by AF_XDP: queue 1: ") })
	foreign()
	h.until("it is served", h.serves("eth", 2))
	p.reaches(443, "after")
}

// occupy binds an AF_XDP socket that is not ours. Calling what it returns closes it.
func (h *host) occupy(ifindex, queue int) (free func()) {
	h.Helper()
	memory, err := unix.Mmap(-1, 0, 64*2048, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { unix.Munmap(memory) })
	var s *xsk.Socket
	h.ns.Do(h, func() (err error) {
		s, err = xsk.Create(&xsk.UMEM{Memory: memory, Chunk: 2048}, xsk.ModeCopy,
			xsk.Config{Interface: ifindex, Queue: uint32(queue), RX: 64, Fill: 64, Completion: 64})
		return err
	})
	var once sync.Once
	free = func() { once.Do(func() { s.Close() }) }
	h.Cleanup(free)
	return free
}

// The kernel takes the sockets off an interface that leaves the namespace, and does not
// bring them back with it.
func TestInterfaceMovesAway(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 0)
	h.open(Options{})
	h.listen(443)
	p.reaches(443, "before")
	away := netnstest.New(t)
	moveLink(t, h.ns, "eth", away)
	h.until("it is gone", func() bool { return h.status("eth").Name == "" })
	moveLink(t, away, "eth", h.ns)
	linkIn(t, h.ns, "eth", func(n *netlink.Handle, l netlink.Link) error {
		return errors.Join(n.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: p.to.AsSlice(), Mask: net.CIDRMask(24, 32)}}), n.LinkSetUp(l))
	})
	h.until("it is served again", h.serves("eth", 1))
	p.reaches(443, "after")
}

// A program that is taken off by force comes again.
func TestProgramTakenOff(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 0)
	h.open(Options{})
	h.listen(443)
	p.reaches(443, "before")
	var a classifier.Attachment
	h.ns.Do(t, func() (err error) {
		h.engine.mu.Lock() // the keeper closes it when it has been taken off
		defer h.engine.mu.Unlock()
		a, err = h.engine.ruled[0].program.Attachment()
		return err
	})
	l, err := bpflink.NewFromID(bpflink.ID(a.Link))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Detach(), l.Close()); err != nil {
		t.Fatal(err)
	}
	linkIn(t, h.ns, "eth", func(n *netlink.Handle, l netlink.Link) error { return n.LinkSetAlias(l, "any change") })
	h.until("it is said", func() bool { return h.noted("its XDP program has been taken off") })
	h.until("it is served again", h.serves("eth", 1))
	p.reaches(443, "after")
}

// In generic mode what a peer on the same host sends in one piece goes to the kernel's
// socket, whole, and is told with what to do about it.
func TestSeveralDatagramsInOne(t *testing.T) {
	h := newHost(t)
	p := h.wire("eth", 1, 0)
	h.open(Options{Attach: classifier.Generic})
	h.listen(443)
	kernel := socketIn(t, h.ns, netip.MustParseAddrPort("0.0.0.0:443"))
	p.reaches(443, "single")
	if err := unix.SetsockoptInt(p.fd, unix.SOL_UDP, unix.UDP_SEGMENT, 1200); err != nil {
		t.Fatal(err)
	}
	parts := []string{strings.Repeat("a", 1200), strings.Repeat("b", 1200), strings.Repeat("c", 700)}
	p.send(443, strings.Join(parts, ""))
	for _, part := range parts {
		h.hears(kernel, part)
		if h.count(part) != 0 {
			t.Error("a part came by AF_XDP as well")
		}
	}
	if n := h.counters("eth")[classifier.TooLong]; n != 1 {
		t.Errorf("%d packets were too long, want 1", n)
	}
	s := h.status("eth")
	if s.Mode != "generic" || s.TooLong != 1 || !strings.Contains(s.Hint, "tx-udp-segmentation off") {
		t.Errorf("status %+v", s)
	}
	linkIn(t, h.ns, "eth", func(n *netlink.Handle, l netlink.Link) error { return n.LinkSetAlias(l, "any change") })
	h.until("it is said", func() bool { return h.noted("tx-udp-segmentation off") })
}

// What is asked for is had, or the interface is not served and says why.
func TestOptions(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		want    string // of the reason; empty: it is served
		mode    string
	}{
		{"default", Options{}, "", "native"},
		{"generic", Options{Attach: classifier.Generic}, "", "generic"},
		{"native", Options{Attach: classifier.Native}, "", "native"},
		{"copy", Options{ZeroCopy: ZeroCopyNever}, "", "native"},
		{"zero-copy", Options{ZeroCopy: ZeroCopyRequire}, "no AF_XDP zero-copy in the driver", ""},
		{"listed", Options{Interfaces: List{"e?h"}}, "", "native"},
		{"not listed", Options{Interfaces: List{"eth?"}}, "does not name it", ""},
		{"denied", Options{Interfaces: List{"eth"}, Deny: List{"e*"}}, "not to serve names it", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			h.wire("eth", 1, 0)
			h.open(test.options)
			s := h.status("eth")
			if s.Served != (test.want == "") || !strings.Contains(s.Reason, test.want) || s.Mode != test.mode {
				t.Errorf("%+v", s)
			}
			if text, err := json.Marshal(h.engine.Status()); err != nil || !strings.Contains(string(text), `"name":"eth"`) {
				t.Errorf("%s, %v", text, err)
			}
		})
	}
}

// Who comes second gets the program as it is, or says that it is not as was asked for.
func TestOptionsOfTheSecond(t *testing.T) {
	h := newHost(t)
	h.wire("eth", 1, 0)
	h.open(Options{Attach: classifier.Generic})
	second := h.beside()
	second.open(Options{Attach: classifier.Native})
	if s := second.status("eth"); s.Served || !strings.Contains(s.Reason, "generic mode") {
		t.Errorf("%+v", s)
	}
	third := h.beside()
	third.open(Options{})
	if s := third.status("eth"); !s.Served || s.Mode != "generic" {
		t.Errorf("%+v", s)
	}
}

// A port of a bridge has no addresses of its own that anybody uses.
func TestPortsOfBridges(t *testing.T) {
	h := newHost(t)
	h.wire("eth", 1, 0)
	h.ns.Run(t, "ip", "link", "add", "br0", "type", "bridge")
	h.ns.Run(t, "ip", "link", "set", "eth", "master", "br0")
	h.open(Options{})
	if s := h.status("eth"); s.Served || !strings.Contains(s.Reason, "port of br0") {
		t.Errorf("%+v", s)
	}
	h.ns.Run(t, "ip", "link", "set", "eth", "nomaster")
	h.until("it is served", h.serves("eth", 1))
}
