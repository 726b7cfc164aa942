// SPDX-License-Identifier: MIT

package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

const (
	patience  = 10 * time.Second // bounds the wait for what must arrive
	farPort   = 4433
	ourClass  = 0x2e<<2 | 1 // expedited forwarding, ECT(1)
	ourHopLim = 77
)

// kernel is a namespace with a tap device: what is written to it arrives there
// as from a wire, and what the kernel sends is complete, as for a wire.
type kernel struct {
	t    *testing.T
	ns   *netnstest.NS
	tap  int
	link netlink.Link
}

func newKernel(t *testing.T) *kernel {
	netnstest.CheckFDs(t)
	k := &kernel{t: t, ns: netnstest.New(t)}
	k.ns.Do(t, func() error {
		tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tap"}, Mode: netlink.TUNTAP_MODE_TAP, Flags: netlink.TUNTAP_NO_PI, Queues: 1}
		if err := netlink.LinkAdd(tap); err != nil {
			return fmt.Errorf("add tap: %w", err)
		}
		t.Cleanup(func() { tap.Fds[0].Close() })
		k.tap = int(tap.Fds[0].Fd())
		return nil
	})
	for line := range strings.Lines(`addr add 10.0.0.1/24 dev tap
		addr add fd00::1/64 dev tap nodad
		link set tap up
		neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev tap
		neigh add fd00::2 lladdr 02:00:00:00:00:02 dev tap`) {
		k.ns.Run(t, "ip", strings.Fields(line)...)
	}
	k.ns.Do(t, func() (err error) {
		k.link, err = netlink.LinkByName("tap")
		return err
	})
	return k
}

// ways are a datagram of either version from the far end of a link to the kernel.
var ways = []struct {
	name     string
	family   int
	from, to netip.Addr
}{
	{"IPv4", unix.AF_INET, netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1")},
	{"IPv6", unix.AF_INET6, netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::1")},
}

// inward is a flow to a port of the kernel.
func (k *kernel) inward(from, to netip.Addr, port uint16) Flow {
	return Flow{
		SourceMAC: MAC{2, 0, 0, 0, 0, 2}, DestinationMAC: MAC(k.link.Attrs().HardwareAddr),
		Source: from.As16(), Destination: to.As16(),
		SourcePort: farPort, DestinationPort: port, TrafficClass: ourClass, HopLimit: ourHopLim,
	}
}

// socket opens a UDP socket that tells and sets class and hop limit.
func socket(t *testing.T, ns *netnstest.NS, family int, local netip.Addr) (fd int, port uint16) {
	t.Helper()
	ns.Do(t, func() (err error) {
		if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(fd) })
		options := map[int]int{unix.IP_RECVTOS: 1, unix.IP_RECVTTL: 1, unix.IP_TOS: ourClass, unix.IP_TTL: ourHopLim}
		level := unix.IPPROTO_IP
		if family == unix.AF_INET6 {
			options = map[int]int{unix.IPV6_RECVTCLASS: 1, unix.IPV6_RECVHOPLIMIT: 1, unix.IPV6_TCLASS: ourClass, unix.IPV6_UNICAST_HOPS: ourHopLim}
			level = unix.IPPROTO_IPV6
		}
		for option, value := range options {
			if err := unix.SetsockoptInt(fd, level, option, value); err != nil {
				return err
			}
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)}); err != nil {
			return err
		}
		if err := unix.Bind(fd, sockaddr(local, 0)); err != nil {
			return err
		}
		name, err := unix.Getsockname(fd)
		switch name := name.(type) {
		case *unix.SockaddrInet4:
			port = uint16(name.Port)
		case *unix.SockaddrInet6:
			port = uint16(name.Port)
		}
		return err
	})
	return fd, port
}

func sockaddr(ip netip.Addr, port int) unix.Sockaddr {
	if ip.Is4() {
		return &unix.SockaddrInet4{Addr: ip.As4(), Port: port}
	}
	return &unix.SockaddrInet6{Addr: ip.As16(), Port: port}
}

// receive returns a payload; class and hop limit must be ours.
func receive(t *testing.T, fd int) []byte {
	t.Helper()
	buf, control := make([]byte, 2000), make([]byte, 200)
	n, controlLen, _, _, err := unix.Recvmsg(fd, buf, control, 0)
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	msgs, err := unix.ParseSocketControlMessage(control[:controlLen])
	if err != nil || len(msgs) != 2 {
		t.Fatalf("%d control messages, %v", len(msgs), err)
	}
	for _, m := range msgs {
		want := uint8(ourClass)
		if m.Header.Type == unix.IP_TTL || m.Header.Type == unix.IPV6_HOPLIMIT {
			want = ourHopLim
		}
		value := m.Data[0] // a byte, or a number of four
		if len(m.Data) >= 4 {
			value = uint8(binary.NativeEndian.Uint32(m.Data))
		}
		if value != want {
			t.Errorf("control message of type %d is %d, want %d", m.Header.Type, value, want)
		}
	}
	return buf[:n]
}

// capture returns the next datagram that fd, of a tap or a packet socket, has
// to offer for one of the ports.
func capture(t *testing.T, fd int, port uint16) (frame []byte, p Packet) {
	t.Helper()
	buf := make([]byte, 2000)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience/time.Millisecond)); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
		n, err := unix.Read(fd, buf)
		if err != nil && err != unix.EAGAIN && err != unix.EINTR {
			t.Fatal(err)
		}
		if n > 0 && Parse(buf[:n], &p) == OK && p.DestinationPort == port {
			return buf[:n], p
		}
	}
	t.Fatal("nothing arrived")
	return nil, p
}

func payloads() (list [][]byte) {
	for _, n := range []int{0, 1, 2, 3, 1200, 1231, 1452} {
		list = append(list, bytes.Repeat([]byte{0xa5, 0x5a, byte(n)}, n)[:n])
	}
	return list
}

// send writes a frame until a socket has got it: a tap may drop one.
func (k *kernel) send(frame []byte, fd int) {
	const tries = 20
	for range tries {
		k.write(frame)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience/time.Millisecond)/tries)
		if n == 1 || err != nil && err != unix.EINTR {
			return // receive says what is wrong
		}
	}
}

// The kernel checks what comes from the tap, and takes what Put makes.
func TestKernelReceives(t *testing.T) {
	k := newKernel(t)
	for _, way := range ways {
		fd, port := socket(t, k.ns, way.family, way.to)
		flow := k.inward(way.from, way.to, port)
		for _, payload := range payloads() {
			frame := frameOf(t, &flow, string(payload), Full)
			for _, at := range []int{len(frame) - 1, len(frame) - len(payload) - 2} { // payload or port, checksum
				frame[at] ^= 1
				k.write(frame)
				frame[at] ^= 1
			}
			k.send(frame, fd)
			if got := receive(t, fd); !bytes.Equal(got, payload) {
				t.Errorf("%s, %d bytes: received %d", way.name, len(payload), len(got))
			}
		}
	}
}

func (k *kernel) write(frame []byte) {
	k.t.Helper()
	if n, err := unix.Write(k.tap, frame); n != len(frame) || err != nil {
		k.t.Fatalf("write %d bytes to the tap: %d, %v", len(frame), n, err)
	}
}

// Parse reads what the kernel sends, and Put makes the same of it.
func TestKernelSends(t *testing.T) {
	k := newKernel(t)
	for _, way := range ways {
		fd, port := socket(t, k.ns, way.family, way.to)
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO); err != nil {
			t.Fatal(err)
		}
		for _, payload := range payloads() {
			if err := unix.Sendto(fd, payload, 0, sockaddr(way.from, farPort)); err != nil {
				t.Fatal(err)
			}
			frame, p := capture(t, k.tap, farPort)
			want := k.inward(way.from, way.to, port)
			want.SourceMAC, want.DestinationMAC = want.DestinationMAC, want.SourceMAC
			want.Source, want.Destination = want.Destination, want.Source
			want.SourcePort, want.DestinationPort = want.DestinationPort, want.SourcePort
			if p.Flow != want || !bytes.Equal(frame[p.Offset:][:p.Length], payload) {
				t.Errorf("%s: parsed as %+v, want %+v", way.name, p, want)
			}
			if v := p.Verify(frame); v != Correct {
				t.Errorf("%s, %d bytes: %d", way.name, len(payload), v)
			}
			same := frameOf(t, &p.Flow, string(payload), Full)
			ignoreChoices(frame, same)
			if !bytes.Equal(frame, same) {
				t.Errorf("%s:\n%x\n%x", way.name, frame, same)
			}
		}
	}
}

// ignoreChoices takes out what each sender chooses: identification (and with it
// the header checksum), flow label.
func ignoreChoices(frames ...[]byte) {
	for _, frame := range frames {
		ip := frame[ethernetLen:]
		if ip[0]>>4 == 4 {
			clear(ip[4:6])
			clear(ip[10:12])
		} else {
			ip[1] &= 0xf0
			clear(ip[2:4])
		}
	}
}

// A partial checksum is what the kernel can complete, given where it starts.
func TestKernelCompletesPartial(t *testing.T) {
	k := newKernel(t)
	var fd int
	k.ns.Do(t, func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1)
		}
		return err
	})
	defer unix.Close(fd)
	for _, way := range ways {
		flow := k.inward(way.from, way.to, farPort) // whither does not matter
		var h Headers
		if err := h.Set(&flow); err != nil {
			t.Fatal(err)
		}
		for _, payload := range payloads() {
			// struct virtio_net_hdr: flags, segmentation, then 16 bits each for
			// header length, segment size, start and offset of the checksum.
			request := make([]byte, 10)
			request[0] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
			binary.NativeEndian.PutUint16(request[6:], uint16(h.ChecksumStart()))
			binary.NativeEndian.PutUint16(request[8:], ChecksumOffset)
			request = append(request, frameOf(t, &flow, string(payload), Partial)...)
			if err := unix.Sendto(fd, request, 0, &unix.SockaddrLinklayer{Ifindex: k.link.Attrs().Index}); err != nil {
				t.Fatal(err)
			}
			got, _ := capture(t, k.tap, farPort)
			if want := frameOf(t, &flow, string(payload), Full); !bytes.Equal(got, want) {
				t.Errorf("%s:\n%x\n%x", way.name, got, want)
			}
		}
	}
}

// Between two kernels, veth leaves the checksum unfinished.
func TestVethLeavesChecksumUnfinished(t *testing.T) {
	netnstest.CheckFDs(t)
	here := &netnstest.End{NS: netnstest.New(t), Name: "here", Addrs: netnstest.Prefixes("10.0.0.1/24", "fd00::1/64")}
	there := &netnstest.End{NS: netnstest.New(t), Name: "there", Addrs: netnstest.Prefixes("10.0.0.2/24", "fd00::2/64")}
	netnstest.Veth(t, here, there)
	var fd int
	there.NS.Do(t, func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: there.Index})
	})
	defer unix.Close(fd)
	for _, way := range ways {
		sender, _ := socket(t, here.NS, way.family, way.to)
		if err := unix.Sendto(sender, []byte("hello"), 0, sockaddr(way.from, farPort)); err != nil {
			t.Fatal(err)
		}
		frame, p := capture(t, fd, farPort)
		if got := p.Verify(frame); got != Unfinished {
			t.Errorf("%s: %d, want %d", way.name, got, Unfinished)
		}
	}
}
