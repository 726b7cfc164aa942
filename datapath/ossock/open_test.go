// SPDX-License-Identifier: MIT

package ossock

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func TestOpenServer(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	for _, test := range []struct {
		kind    uint8
		local   string
		want    string // without port
		spare   bool
		ipProto int
	}{
		{udp, "", "::", false, unix.IPPROTO_UDP},
		{udp, "0.0.0.0:0", "0.0.0.0", false, unix.IPPROTO_UDP},
		{udp, "127.0.0.1:0", "127.0.0.1", false, unix.IPPROTO_UDP},
		{udp, "[::1]:0", "::1", false, unix.IPPROTO_UDP},
		{udp, "[::]:4433", "::", false, unix.IPPROTO_UDP},
		{listener, "", "::", true, unix.IPPROTO_TCP},
		{listener, "127.0.0.1:4433", "127.0.0.1", true, unix.IPPROTO_TCP},
	} {
		req := w.request(test.kind, 1)
		if test.local != "" {
			local(req, test.local)
		}
		ep := w.mustOpen(h, req)
		if ip := ep.Local.IP().String(); ip != test.want || ep.Local.Scope != 0 || ep.Local.PortNumber() == 0 {
			t.Errorf("kind %d at %q: local address %v, scope %d", test.kind, test.local, ep.Local.AddrPort(), ep.Local.Scope)
		}
		if asked := req.Local.PortNumber(); asked != 0 && asked != ep.Local.PortNumber() {
			t.Errorf("port %d, asked for %d", ep.Local.PortNumber(), asked)
		}
		if ep.IsV4 || ep.Connected || !segments(ep) || ep.Kind != test.kind || (ep.SpareFD >= 0) != test.spare {
			t.Errorf("kind %d at %q: %+v", test.kind, test.local, ep)
		}
		wantOption(t, ep, unix.SOL_SOCKET, unix.SO_PROTOCOL, test.ipProto)
		wantOption(t, ep, unix.SOL_SOCKET, unix.SO_ACCEPTCONN, btoi(test.kind == listener))
	}
}

func TestOpenClient(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	for _, to := range []string{"127.0.0.1:0", "[::1]:0"} {
		peer := nameOf(t, h.socket(unix.SOCK_DGRAM, to))
		ep := w.client(h, peer)
		if ep.Local.IP() != peer.Addr() || ep.Local.PortNumber() == 0 {
			t.Errorf("local address %v, want the source that the kernel chose", ep.Local.AddrPort())
		}
		if !ep.Connected || ep.IsV4 != peer.Addr().Is4() || ep.Remote != batch.AddrFrom(peer) {
			t.Errorf("%+v", ep)
		}
	}
}

// The two ends of a link-local address need its interface.
func TestOpenLinkLocal(t *testing.T) {
	h := newHost(t)
	_, here := h.wire()
	w := newWorker(t)
	var linkLocal string
	for _, field := range strings.Fields(h.ns.Run(t, "ip", "-6", "addr", "show", "dev", "here", "scope", "link")) {
		if ip, ok := strings.CutSuffix(field, "/64"); ok {
			linkLocal = "[" + ip + "]:0"
		}
	}
	req := local(w.request(udp, 1), linkLocal)
	h.do(func() error {
		wantError(t, Open(req), unix.EINVAL, "bind(udp "+linkLocal+")")
		return nil
	})
	req.Local.Scope = uint32(here.Index)
	if ep := w.mustOpen(h, req); ep.Local.Scope != 0 || ep.Local.IP() != req.Local.IP() {
		t.Errorf("local address %+v, want it without scope", ep.Local)
	}
}

func TestOpenFailureLeavesNothingOpenAndSaysWhy(t *testing.T) {
	h := newHost(t)
	h.wire()
	taken := nameOf(t, h.socket(unix.SOCK_DGRAM, "[::]:0")).Port()
	listening := h.socket(unix.SOCK_STREAM, "[::]:0")
	if err := unix.Listen(listening, 1); err != nil {
		t.Fatal(err)
	}
	takenTCP := nameOf(t, listening).Port()
	for _, test := range []struct {
		name  string
		req   func(w *worker) *batch.Open
		errno unix.Errno
		says  []string
	}{
		{"port in use", func(w *worker) *batch.Open { return local(w.request(udp, 1), fmt.Sprintf("[::]:%d", taken)) },
			unix.EADDRINUSE, []string{fmt.Sprintf("UDP port %d is held", taken), fmt.Sprintf("pid %d", os.Getpid())}},
		{"port in use, on one address", func(w *worker) *batch.Open {
			return local(w.request(udp, 1), fmt.Sprintf("127.0.0.1:%d", taken))
		}, unix.EADDRINUSE, []string{fmt.Sprintf("UDP port %d is held", taken)}},
		{"port in use, several endpoints", func(w *worker) *batch.Open { return local(w.request(udp, 3), fmt.Sprintf("[::]:%d", taken)) },
			unix.EADDRINUSE, []string{fmt.Sprintf("UDP port %d is held", taken)}},
		{"port of a client in use", func(w *worker) *batch.Open {
			return remote(local(w.request(udp, 1), fmt.Sprintf("127.0.0.1:%d", taken)), netip.MustParseAddrPort("127.0.0.1:443"))
		}, unix.EADDRINUSE, []string{fmt.Sprintf("UDP port %d is held", taken)}},
		{"TCP port in use", func(w *worker) *batch.Open { return local(w.request(listener, 1), fmt.Sprintf("[::]:%d", takenTCP)) },
			unix.EADDRINUSE, []string{fmt.Sprintf("TCP port %d is held", takenTCP)}},
		{"not our address", func(w *worker) *batch.Open { return local(w.request(udp, 1), "[2001:db8::9]:0") },
			unix.EADDRNOTAVAIL, []string{"bind(udp [2001:db8::9]:0)", "no interface of this network namespace"}},
		{"no route", func(w *worker) *batch.Open {
			return remote(w.request(udp, 1), netip.MustParseAddrPort("192.0.2.9:443"))
		}, unix.ENETUNREACH, []string{"connect(udp 0.0.0.0:0 to 192.0.2.9:443)"}},
		{"no route, TCP", func(w *worker) *batch.Open {
			return remote(w.request(tcp, 1), netip.MustParseAddrPort("[2001:db8::9]:443"))
		}, unix.ENETUNREACH, []string{"connect(tcp [::]:0 to [2001:db8::9]:443)"}},
		{"IPv4 address, IPv6 peer", func(w *worker) *batch.Open {
			return remote(local(w.request(udp, 1), "10.0.0.1:0"), netip.MustParseAddrPort("[fd00::2]:443"))
		}, unix.EAFNOSUPPORT, []string{"to [fd00::2]:443"}},
		{"IPv4 loopback, IPv6 loopback", func(w *worker) *batch.Open {
			return remote(local(w.request(udp, 1), "127.0.0.1:0"), netip.MustParseAddrPort("[::1]:443"))
		}, unix.EAFNOSUPPORT, nil},
		{"IPv6 address, IPv4 peer", func(w *worker) *batch.Open {
			return remote(local(w.request(udp, 1), "[fd00::1]:0"), netip.MustParseAddrPort("10.0.0.2:443"))
		}, unix.ENETUNREACH, nil},
		{"no such interface", func(w *worker) *batch.Open {
			return changed(w.request(udp, 1), func(r *batch.Open) { r.InterfaceIndex = 999 })
		}, unix.ENODEV, []string{"interface 999", "ip link"}},
		{"garbage", func(w *worker) *batch.Open {
			return changed(local(w.request(udp, 2), "[::]:0"), func(r *batch.Open) { r.Local.Family = 99 })
		}, unix.EAFNOSUPPORT, []string{"use an IPv4 or an IPv6 address"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorker(t)
			netnstest.CheckFDs(t)
			req := test.req(w)
			h.do(func() error {
				wantError(t, Open(req), test.errno, test.says...)
				return nil
			})
			for i, ep := range req.Endpoints() {
				if ep.FD != -1 || ep.SpareFD != -1 {
					t.Errorf("endpoint %d still has descriptors %d and %d", i, ep.FD, ep.SpareFD)
				}
			}
		})
	}
}

func TestOpenLowPortWithoutTheCapability(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	req := local(w.request(udp, 1), "[::]:443")
	h.do(func() error { // the capability is dropped on this thread only, which then ends
		if err := dropCapabilities(); err != nil {
			return err
		}
		wantError(t, Open(req), unix.EACCES, "bind(udp [::]:443)", "CAP_NET_BIND_SERVICE")
		return nil
	})
}

func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

func TestOpenWithoutDescriptors(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	for _, free := range []int{0, 1, 2} {
		req := w.request(udp, 3)
		h.do(func() error {
			defer leaveDescriptors(t, free)()
			wantError(t, Open(req), unix.EMFILE, "ulimit -n") // of the claim or of a socket
			return nil
		})
		for i, ep := range req.Endpoints() {
			if ep.FD != -1 {
				t.Errorf("%d descriptors free: endpoint %d is still open", free, i)
			}
		}
	}
}

// leaveDescriptors lets the process open only so many more files, until the
// function that it returns is called.
func leaveDescriptors(t testing.TB, free int) (restore func()) {
	t.Helper()
	open, err := netnstest.OpenFDs()
	if err != nil {
		t.Fatal(err)
	}
	highest := 0
	for fd := range open {
		highest = max(highest, fd)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	low := before
	low.Cur = uint64(highest + free + 2)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var fillers []int
	for {
		fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		fillers = append(fillers, fd)
	}
	for range free {
		unix.Close(fillers[len(fillers)-1])
		fillers = fillers[:len(fillers)-1]
	}
	return func() {
		for _, fd := range fillers {
			unix.Close(fd)
		}
		unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	}
}

func TestPortZeroIsOnePortForAllEndpoints(t *testing.T) {
	h := newHost(t)
	for _, kind := range []uint8{udp, listener} {
		for _, at := range []string{"[::]:0", "127.0.0.1:0"} {
			w := newWorker(t)
			req := local(w.request(kind, 5), at)
			first := w.mustOpen(h, req)
			for i, ep := range req.Endpoints() {
				if ep.Local != first.Local || ep.Local.PortNumber() == 0 {
					t.Errorf("kind %d: endpoint %d is at %v, the first at %v", kind, i, ep.Local.AddrPort(), first.Local.AddrPort())
				}
				if got := nameOf(t, int(ep.FD)); got != first.Local.AddrPort() {
					t.Errorf("kind %d: endpoint %d is bound to %v", kind, i, got)
				}
			}
		}
	}
}

// SO_REUSEPORT makes the kernel take a port for free that is in use by others
// who set it, the other servers of the same user.
func TestPortZeroIsNobodysPort(t *testing.T) {
	h := newHost(t)
	const first, ports = 5000, 4
	h.ns.Sysctl(t, "net/ipv4/ip_local_port_range", fmt.Sprintf("%d %d", first, first+ports-1))
	for _, kind := range []uint8{udp, listener} {
		for range 4 { // so that chance does not help
			w := newWorker(t)
			holder := map[uint16]int{}
			var open []*batch.Endpoint
			for server := range ports {
				req := w.request(kind, 2)
				p := w.mustOpen(h, req).Local.PortNumber()
				if other, ok := holder[p]; ok {
					t.Errorf("kind %d: servers %d and %d were both given port %d", kind, other, server, p)
				}
				holder[p] = server
				open = append(open, req.Endpoints()...)
			}
			for _, ep := range open {
				Quiesce(ep)
				Close(ep)
			}
		}
	}
}

// MsQuic cannot tell both ends apart when they have one port on one host.
func TestClientNeverGetsThePortOfItsPeer(t *testing.T) {
	h := newHost(t)
	h.ns.Sysctl(t, "net/ipv4/ip_local_port_range", "5000 5001")
	for _, kind := range []uint8{udp, tcp} {
		for range 24 { // each has an even chance of the peer's port
			w := newWorker(t)
			req := remote(w.request(kind, 1), netip.MustParseAddrPort("127.0.0.1:5000"))
			h.do(func() error { return Open(req) })
			ep := req.Endpoints()[0]
			if got := ep.Local.PortNumber(); got != 5001 {
				t.Fatalf("kind %d: client at port %d, its peer has 5000", kind, got)
			}
			Close(ep)
		}
	}
}

func TestExplicitPortMayEqualThePeers(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	req := remote(local(w.request(udp, 1), "127.0.0.1:5000"), netip.MustParseAddrPort("127.0.0.1:5000"))
	if ep := w.mustOpen(h, req); ep.Local.PortNumber() != 5000 {
		t.Errorf("port %d", ep.Local.PortNumber())
	}
}

// Where no other port is left, opening fails; it does not search for ever, nor
// settle for the port of the peer.
func TestClientWithoutAnotherPortIsRefused(t *testing.T) {
	h := newHost(t)
	h.ns.Sysctl(t, "net/ipv4/ip_local_port_range", "5000 5000")
	for _, share := range []bool{false, true} {
		req := remote(newWorker(t).request(udp, 1), netip.MustParseAddrPort("127.0.0.1:5000"))
		req.Share = share
		h.do(func() error {
			wantError(t, Open(req), unix.EADDRINUSE, "bind(udp 0.0.0.0:0 to 127.0.0.1:5000)")
			return nil
		})
	}
}

// A descriptor number that was closed may be somebody else's by the time it is closed again.
func TestFailedRetryClosesNothingTwice(t *testing.T) {
	h := newHost(t)
	h.ns.Sysctl(t, "net/ipv4/ip_local_port_range", "5000 5000")
	w := newWorker(t)
	req := remote(w.request(udp, 1), netip.MustParseAddrPort("127.0.0.1:5000"))
	ep := req.Endpoints()[0]
	h.do(func() error {
		p, err := newPlan(req)
		if err != nil {
			return err
		}
		defer leaveDescriptors(t, 1)()
		wantError(t, p.open(ep), unix.EMFILE) // the second socket, after one with the port of the peer
		return nil
	})
	if ep.FD >= 0 {
		if _, err := unix.FcntlInt(uintptr(ep.FD), unix.F_GETFD, 0); err != nil {
			t.Errorf("the endpoint names descriptor %d, which is closed: Open would close it again", ep.FD)
		}
		ep.FD = -1
	}
}

func TestInterfaceIndexBindsToTheInterface(t *testing.T) {
	h := newHost(t)
	far, here := h.wire()
	w := newWorker(t)
	req := w.request(udp, 1)
	req.InterfaceIndex = uint32(here.Index)
	ep := w.mustOpen(h, req)
	wantOption(t, ep, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, here.Index)

	superFrame{1, 1, 10, 10}.send(t, h.socket(unix.SOCK_DGRAM, "127.0.0.1:0"), port(ep, "127.0.0.1"))
	f := superFrame{2, 1, 10, 10}
	f.send(t, far.socket(unix.SOCK_DGRAM, "10.0.0.2:0"), port(ep, "10.0.0.1"))
	w.runUntil("the one by wire is here", func() bool { return w.received() == 1 })
	w.idle()
	w.wantDatagrams(ep, f.cut())

	client := remote(w.request(udp, 1), nameOf(t, h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")))
	client.InterfaceIndex = uint32(here.Index)
	h.do(func() error { return Open(client) })
	got := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	if reaches(t, client.Endpoints()[0], got) {
		t.Error("a client that is bound to an interface reaches another one")
	}
}

// reaches reports whether a datagram of ep comes to a plain socket.
func reaches(t *testing.T, ep *batch.Endpoint, fd int) bool {
	t.Helper()
	if err := unix.Sendto(int(ep.FD), []byte("x"), 0, sockaddr(nameOf(t, fd))); err != nil {
		return false
	}
	return polled(fd, unix.POLLIN, quiet)
}

// A server on a kernel without IPv6 works as well over AF_INET.
func TestServerWithoutIPv6(t *testing.T) {
	h := newHost(t)
	withoutIPv6(t)
	w := newWorker(t)
	ep := w.mustOpen(h, local(w.request(udp, 1), "[::]:0"))
	if !ep.IsV4 || ep.Local.IP() != netip.IPv4Unspecified() {
		t.Errorf("AF_INET: %v, local address %v", ep.IsV4, ep.Local.AddrPort())
	}
	f := superFrame{1, 70, 100, 9}
	f.send(t, h.socket(unix.SOCK_DGRAM, "127.0.0.1:0"), port(ep, "127.0.0.1"))
	w.runUntil("all is here", func() bool { return w.received() == 70 })
	if d := w.seen[ep].got[0]; d.local.AddrPort() != port(ep, "127.0.0.1") || d.ttl == 0 {
		t.Errorf("got %+v", d)
	}
	w.wantDatagrams(ep, f.cut())
}

// Where IPv6 is disabled by sysctl, as in many containers, the kernel still has
// AF_INET6 sockets, and IPv4 goes through them.
func TestIPv6DisabledBySysctl(t *testing.T) {
	h := newHost(t)
	h.ns.Sysctl(t, "net/ipv6/conf/all/disable_ipv6", "1")
	w := newWorker(t)
	server := w.server(h)
	client := w.client(h, port(server, "127.0.0.1"))
	want := payloads(1, 5, 1200, 300)
	wantStatus(t, Send(client, outgoing(t, client.Remote.AddrPort(), 1200, want...)), 0)
	w.runUntil("all are here", func() bool { return w.received() == len(want) })
	w.wantDatagrams(server, want)

	near := w.mustOpen(h, w.request(listener, 1))
	stream := w.mustOpen(h, remote(w.request(tcp, 1), port(near, "127.0.0.1")))
	conn := w.endpoint()
	until(t, "accepted", func() (bool, error) { return Accept(near, conn) == nil, nil })
	if got := conn.Remote.AddrPort(); got != stream.Local.AddrPort() || !got.Addr().Is4() {
		t.Errorf("accepted a connection from %v, it comes from %v", got, stream.Local.AddrPort())
	}
}

// Sockets must not survive into programs that the host starts, nor block its workers.
func TestSocketsAreCloseOnExecAndNonBlocking(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	for _, kind := range []uint8{udp, listener} {
		ep := w.mustOpen(h, w.request(kind, 1))
		for _, fd := range []int32{ep.FD, ep.SpareFD} {
			if fd < 0 {
				continue
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("kind %d: descriptor flags %#x, %v", kind, flags, err)
			}
		}
		if flags, err := unix.FcntlInt(uintptr(ep.FD), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("kind %d: status flags %#x, %v", kind, flags, err)
		}
	}
}

func TestOptions(t *testing.T) {
	h := newHost(t)
	for _, test := range []struct {
		name       string
		ep         func(w *worker) *batch.Endpoint
		level, opt int
		want       int
	}{
		{"both versions", serverOf(h, nil), unix.SOL_IPV6, unix.IPV6_V6ONLY, 0},
		{"no fragments, IPv4", serverOf(h, nil), unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
		{"no fragments, IPv6", serverOf(h, nil), unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
		{"no fragments, IPv6 at the source", serverOf(h, nil), unix.SOL_IPV6, unix.IPV6_DONTFRAG, 1},
		{"exclusive", serverOf(h, nil), unix.SOL_SOCKET, unix.SO_REUSEPORT, 0},
		{"one of several", groupOf(h, udp), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{"address reuse would let anybody in", groupOf(h, udp), unix.SOL_SOCKET, unix.SO_REUSEADDR, 0},
		{"coalesced", serverOf(h, nil), unix.SOL_UDP, unix.UDP_GRO, 1},
		{"not coalesced", serverOf(h, func(r *batch.Open) { r.Coalesce = false }), unix.SOL_UDP, unix.UDP_GRO, 0},
		{"no interface", serverOf(h, nil), unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, 0},
		{"one of several, TCP", groupOf(h, listener), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{"exclusive TCP", listenerOf(h), unix.SOL_SOCKET, unix.SO_REUSEPORT, 0},
		{"TCP for both versions", listenerOf(h), unix.SOL_IPV6, unix.IPV6_V6ONLY, 0},
		{"TCP without delay", listenerOf(h), unix.SOL_TCP, unix.TCP_NODELAY, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantOption(t, test.ep(newWorker(t)), test.level, test.opt, test.want)
		})
	}
}

func serverOf(h *host, change func(*batch.Open)) func(w *worker) *batch.Endpoint {
	return func(w *worker) *batch.Endpoint {
		req := w.request(udp, 1)
		if change != nil {
			change(req)
		}
		return w.mustOpen(h, req)
	}
}

func listenerOf(h *host) func(w *worker) *batch.Endpoint {
	return func(w *worker) *batch.Endpoint { return w.mustOpen(h, w.request(listener, 1)) }
}

// groupOf opens three endpoints on one port, and returns the first.
func groupOf(h *host, kind uint8) func(w *worker) *batch.Endpoint {
	return func(w *worker) *batch.Endpoint { return w.mustOpen(h, w.request(kind, 3)) }
}

func TestReceiveBufferIsAsLargeAsAllowed(t *testing.T) {
	h := newHost(t)
	ep := newWorker(t).server(h)
	plain := h.socket(unix.SOCK_DGRAM, "[::]:0")
	if err := unix.SetsockoptInt(plain, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<30); err != nil {
		t.Fatal(err)
	}
	most, err := unix.GetsockoptInt(plain, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		t.Fatal(err)
	}
	wantOption(t, ep, unix.SOL_SOCKET, unix.SO_RCVBUF, most)
}

// A refused option fails the open: what was asked for is never dropped in silence.
func TestRefusedOptionIsNamed(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	err = setOptions(fd, []option{
		{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{"IPV6_V6ONLY", unix.SOL_IPV6, unix.IPV6_V6ONLY, 0},
	})
	wantError(t, err, unix.ENOPROTOOPT, "setsockopt(IPV6_V6ONLY=0)")
}

func wantOption(t testing.TB, ep *batch.Endpoint, level, opt, want int) {
	t.Helper()
	if got, err := unix.GetsockoptInt(int(ep.FD), level, opt); err != nil || got != want {
		t.Errorf("option %d of level %d is %d (%v), want %d", opt, level, got, err, want)
	}
}

func wantLingerReset(t testing.TB, ep *batch.Endpoint) {
	t.Helper()
	var l unix.Linger
	n := uint32(unsafe.Sizeof(l))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(ep.FD), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&l)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 || l != (unix.Linger{Onoff: 1}) {
		t.Errorf("linger %+v (%v), want on, 0 seconds", l, e)
	}
}

func TestClosingTCPResets(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	wantLingerReset(t, w.mustOpen(h, w.request(listener, 1)))
	to := h.unused(unix.SOCK_STREAM, "127.0.0.1:0")
	wantLingerReset(t, w.mustOpen(h, remote(w.request(tcp, 1), to)))
}
