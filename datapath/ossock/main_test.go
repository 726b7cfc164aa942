// SPDX-License-Identifier: MIT

package ossock

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// patience bounds the wait for what must happen; quiet is how long a test
// watches for what must not.
const (
	patience = 10 * time.Second
	quiet    = 30 * time.Millisecond
)

// host is a network namespace of its own.
type host struct {
	t  *testing.T
	ns *netnstest.NS
}

// newHost also checks that the test leaks no descriptor.
func newHost(t *testing.T) *host {
	t.Helper()
	netnstest.CheckFDs(t)
	t.Setenv(rundir.Env, t.TempDir())
	return &host{t, netnstest.New(t)}
}

// wire joins h to a second host. Here: 10.0.0.1, 10.0.0.3, fd00::1, fd00::3; there .2 and ::2.
func (h *host) wire() (far *host, here *netnstest.End) {
	h.t.Helper()
	far = &host{h.t, netnstest.New(h.t)}
	here = &netnstest.End{NS: h.ns, Name: "here", Addrs: netnstest.Prefixes("10.0.0.1/24", "10.0.0.3/24", "fd00::1/64", "fd00::3/64")}
	netnstest.Veth(h.t, here, &netnstest.End{NS: far.ns, Name: "there", Addrs: netnstest.Prefixes("10.0.0.2/24", "fd00::2/64")})
	return far, here
}

// do runs f inside the namespace.
func (h *host) do(f func() error) {
	h.t.Helper()
	h.ns.Do(h.t, f)
}

// socket opens a plain socket, for the other side of a test, until the test ends.
func (h *host) socket(kind int, local string) (fd int) {
	h.t.Helper()
	fd = h.bound(kind, local)
	h.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// unused returns an address that nobody listens at.
func (h *host) unused(kind int, local string) netip.AddrPort {
	h.t.Helper()
	fd := h.bound(kind, local)
	defer unix.Close(fd)
	return nameOf(h.t, fd)
}

func (h *host) bound(kind int, local string) (fd int) {
	h.t.Helper()
	at := netip.MustParseAddrPort(local)
	family := unix.AF_INET6
	if at.Addr().Is4() {
		family = unix.AF_INET
	}
	h.do(func() (err error) {
		if fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		return unix.Bind(fd, sockaddr(at))
	})
	return fd
}

func sockaddr(ap netip.AddrPort) unix.Sockaddr {
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

func addrOf(text string) batch.Addr { return batch.AddrFrom(netip.MustParseAddrPort(text)) }

func withScope(text string, scope uint32) batch.Addr {
	a := addrOf(text)
	a.Scope = scope
	return a
}

// nameOf returns the address of a socket, un-mapped.
func nameOf(t *testing.T, fd int) netip.AddrPort {
	t.Helper()
	a, err := sockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	a.Unmap()
	return a.AddrPort()
}

// port is where an endpoint is reached on an address of its host.
func port(ep *batch.Endpoint, ip string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(ip), ep.Local.PortNumber())
}

// pattern returns n bytes that no other seed gives.
func pattern(seed, n int) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// worker plays one of MsQuic's workers, and the C lane before Go (capi/event.c).
type worker struct {
	t     *testing.T
	queue int // epoll
	pool  *blocktest.Pool
	turn  *batch.Turn
	seen  map[*batch.Endpoint]*record
}

// record is what the up-calls of one endpoint said.
type record struct {
	calls   []string // connected, sent, received, unreachable, disconnected
	got     []datagram
	sent    []*batch.Tx
	stream  []byte
	dropped int
	turns   int
	wakeups int
	errors  []unix.Errno
}

type datagram struct {
	data          []byte
	remote, local batch.Addr
	tos, ttl      uint8
}

func newWorker(t *testing.T) *worker {
	t.Helper()
	queue, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(queue) })
	w := &worker{t: t, queue: queue, pool: blocktest.NewPool(t, 40), seen: map[*batch.Endpoint]*record{}}
	w.turn = w.pool.NewTurn()
	return w
}

// endpoint makes an endpoint that is closed when the test ends.
func (w *worker) endpoint() *batch.Endpoint {
	ep := blocktest.NewEndpoint(w.queue)
	w.seen[ep] = &record{}
	w.t.Cleanup(func() {
		Quiesce(ep)
		Close(ep)
	})
	return ep
}

func (w *worker) request(kind uint8, endpoints int) *batch.Open {
	eps := make([]*batch.Endpoint, endpoints)
	for i := range eps {
		eps[i] = w.endpoint()
	}
	req := blocktest.Request(kind, eps...)
	req.Coalesce = kind == batch.KindUDP
	return req
}

func local(req *batch.Open, text string) *batch.Open {
	req.Local, req.HasLocal = addrOf(text), true
	return req
}

func remote(req *batch.Open, to netip.AddrPort) *batch.Open {
	req.Remote, req.HasRemote = batch.AddrFrom(to), true
	return req
}

// mustOpen opens and watches, and returns the first endpoint.
func (w *worker) mustOpen(h *host, req *batch.Open) *batch.Endpoint {
	w.t.Helper()
	h.do(func() error { return Open(req) })
	for _, ep := range req.Endpoints() {
		if err := Watch(ep); err != nil {
			w.t.Fatal(err)
		}
	}
	return req.Endpoints()[0]
}

// server opens one UDP endpoint on all addresses.
func (w *worker) server(h *host) *batch.Endpoint {
	w.t.Helper()
	return w.mustOpen(h, w.request(batch.KindUDP, 1))
}

// client opens one UDP endpoint that is connected to a peer.
func (w *worker) client(h *host, to netip.AddrPort) *batch.Endpoint {
	w.t.Helper()
	return w.mustOpen(h, remote(w.request(batch.KindUDP, 1), to))
}

// wait returns the events of one wake-up; none after the timeout.
func (w *worker) wait(timeout time.Duration) []unix.EpollEvent {
	w.t.Helper()
	events := make([]unix.EpollEvent, 16)
	for deadline := time.Now().Add(timeout); ; {
		n, err := unix.EpollWait(w.queue, events, max(0, int(time.Until(deadline).Milliseconds())))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		return events[:n]
	}
}

// ready waits until an endpoint has all of these events, and does not serve them.
func (w *worker) ready(ep *batch.Endpoint, events uint32) {
	w.t.Helper()
	until(w.t, "the event", func() (bool, error) {
		for _, ev := range w.wait(patience) {
			if w.owner(&ev) == ep && ev.Events&events == events {
				return true, nil
			}
		}
		return false, nil
	})
}

// until repeats what may answer EAGAIN.
func until(t *testing.T, what string, f func() (bool, error)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Microsecond) {
		ok, err := f()
		if ok {
			return
		}
		if err != nil && err != unix.EAGAIN || time.Now().After(deadline) {
			t.Fatalf("did not happen: %s: %v", what, err)
		}
	}
}

// polled waits until poll reports an event of a descriptor, and returns whether it did in time.
func polled(fd int, event int16, timeout time.Duration) bool {
	for deadline := time.Now().Add(timeout); ; {
		list := []unix.PollFd{{Fd: int32(fd), Events: event}}
		n, err := unix.Poll(list, max(0, int(time.Until(deadline).Milliseconds())))
		if err == nil && n == 1 && list[0].Revents&event != 0 {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// owner finds the endpoint that an event names by its SQE.
func (w *worker) owner(ev *unix.EpollEvent) *batch.Endpoint {
	w.t.Helper()
	data := *(*uint64)(unsafe.Pointer(&ev.Fd))
	for ep := range w.seen {
		if uint64(uintptr(ep.SQE)) == data {
			return ep
		}
	}
	w.t.Fatalf("an event names %#x, which is no endpoint's SQE", data)
	return nil
}

// runUntil serves events until something is so.
func (w *worker) runUntil(what string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("did not happen: %s\n%s", what, w.describe())
		}
		w.runOnce(50 * time.Millisecond)
	}
}

// idle serves events for a while in which there should be none, and returns how many there were.
func (w *worker) idle() (wakeups int) {
	w.t.Helper()
	for deadline := time.Now().Add(quiet); time.Now().Before(deadline); {
		wakeups += w.runOnce(time.Until(deadline))
	}
	return wakeups
}

func (w *worker) runOnce(timeout time.Duration) (events int) {
	w.t.Helper()
	list := w.wait(timeout)
	for i := range list {
		w.serve(w.owner(&list[i]), list[i].Events)
	}
	return len(list)
}

// serve runs the turns of one event.
func (w *worker) serve(ep *batch.Endpoint, events uint32) {
	w.t.Helper()
	w.seen[ep].wakeups++
	const most = 16
	for range most {
		w.once(ep, events)
		if !w.turn.More {
			return
		}
		events = unix.EPOLLIN
	}
}

// once runs one turn and the up-calls that it asks for.
func (w *worker) once(ep *batch.Endpoint, events uint32) {
	w.t.Helper()
	t := w.turn
	t.Events = events
	Turn(ep, t)
	r := w.seen[ep]
	r.turns++
	r.dropped += int(t.Dropped)
	if t.Error != 0 {
		r.errors = append(r.errors, unix.Errno(t.Error))
	}
	if t.Connected {
		r.calls = append(r.calls, "connected")
	}
	for tx := t.Done; tx != nil; tx = tx.Next {
		r.calls, r.sent = append(r.calls, "sent"), append(r.sent, tx)
	}
	if t.Chain != nil {
		r.calls = append(r.calls, "received")
		w.deliver(ep, r)
	}
	if t.Disconnected {
		r.calls = append(r.calls, "disconnected")
	}
	chain := t.Chain
	w.pool.Refill(t)
	w.pool.Return(chain)
}

// deliver copies datagrams, after checking what holds for every one.
func (w *worker) deliver(ep *batch.Endpoint, r *record) {
	w.t.Helper()
	for _, d := range w.pool.Deliver(w.turn) {
		data := slices.Clone(blocktest.Payload(w.t, d))
		if ep.Kind == batch.KindTCP {
			r.stream = append(r.stream, data...)
		} else {
			r.got = append(r.got, datagram{data, d.Route.Remote, d.Route.Local, d.TOS, d.TTL})
		}
		if d.Flags != 1|1<<2 || d.Partition != ep.Partition || len(data) == 0 {
			w.t.Errorf("a datagram of %d bytes has flags %#x, partition %d", len(data), d.Flags, d.Partition)
		}
		route := *d.Route
		route.Remote, route.Local = batch.Addr{}, batch.Addr{}
		if want := (batch.Route{Queue: ep.Queue, Type: batch.DatapathNormal, State: batch.RouteResolved}); route != want {
			w.t.Errorf("route is %+v, want %+v", route, want)
		}
		*d.Route = batch.Route{} // each datagram has its own: MsQuic may overwrite it
	}
}

// received counts the datagrams of all endpoints.
func (w *worker) received() (n int) {
	for _, r := range w.seen {
		n += len(r.got)
	}
	return n
}

func (w *worker) describe() string {
	var b strings.Builder
	for ep, r := range w.seen {
		fmt.Fprintf(&b, "socket %d: %d wake-ups, %d turns, %d datagrams, %d bytes of stream, %d sent, %d dropped, errors %v, calls %.200v\n",
			ep.FD, r.wakeups, r.turns, len(r.got), len(r.stream), len(r.sent), r.dropped, r.errors, r.calls)
	}
	return b.String()
}

// watched returns what epoll watches an endpoint for, as the kernel shows it.
func watched(t rapid.TB, ep *batch.Endpoint) (events uint32, ok bool) {
	t.Helper()
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", ep.EventQ))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(info)) {
		var fd int32
		var data uint64
		if n, _ := fmt.Sscanf(line, "tfd: %d events: %x data: %x", &fd, &events, &data); n == 3 && fd == ep.FD {
			if data != uint64(uintptr(ep.SQE)) {
				t.Errorf("socket %d is registered with data %#x, its SQE is %p", fd, data, ep.SQE)
			}
			return events & (unix.EPOLLIN | unix.EPOLLOUT), true
		}
	}
	return 0, false
}

// wantWatched fails unless epoll watches ep for exactly these events.
func wantWatched(t rapid.TB, ep *batch.Endpoint, want uint32) {
	t.Helper()
	if got, ok := watched(t, ep); !ok || got != want {
		t.Errorf("watched: %v, for events %#x; want %#x", ok, got, want)
	}
}

// wantError fails unless err is this errno and says all of these.
func wantError(t testing.TB, err error, errno unix.Errno, says ...string) {
	t.Helper()
	if !errors.Is(err, errno) {
		t.Errorf("error %v, want %v", err, errno)
		return
	}
	var refused *portres.Refused // words itself, for people
	if !errors.As(err, &refused) {
		says = append(says, fmt.Sprintf("(errno %d)", int(errno)))
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not say %q", err, s)
		}
	}
}

// wantCalls fails unless the up-calls of an endpoint, repeated ones taken as one, were these.
func (w *worker) wantCalls(ep *batch.Endpoint, want ...string) {
	w.t.Helper()
	if got := slices.Compact(slices.Clone(w.seen[ep].calls)); !slices.Equal(got, want) {
		w.t.Errorf("up-calls %v, want %v", got, want)
	}
}
