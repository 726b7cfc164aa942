// SPDX-License-Identifier: MIT

package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// patience bounds the wait for what must happen.
const patience = 20 * time.Second

// host is a network namespace with an engine, and the worker that C would be.
type host struct {
	*testing.T
	ns     *netnstest.NS
	engine *Engine

	epoll int
	stop  int    // an eventfd
	end   func() // of the engine and its worker, at the latest with the test
	ended sync.WaitGroup

	mu     sync.Mutex
	queues []*served
	notes  []Note
	got    map[string]int // datagrams that came by AF_XDP, by payload
	byQ    map[int]int    // the same by number of the queue
}

// served is a queue and its endpoint.
type served struct {
	*Queue
	ep *batch.Endpoint
}

// newHost also checks that the test leaks no descriptor.
func newHost(t *testing.T) *host {
	t.Helper()
	netnstest.CheckFDs(t)
	t.Setenv(rundir.Env, t.TempDir())
	return (&host{T: t, ns: netnstest.New(t)}).beside()
}

// beside is for another engine in the same namespace.
func (h *host) beside() *host {
	return &host{T: h.T, ns: h.ns, got: map[string]int{}, byQ: map[int]int{}}
}

// open opens the engine, and lets a worker serve it until the test ends.
func (h *host) open(o Options) {
	h.Helper()
	h.ns.Do(h, func() (err error) {
		h.engine, err = Open(o)
		return err
	})
	var err [3]error
	h.epoll, err[0] = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	h.stop, err[1] = unix.Eventfd(0, unix.EFD_CLOEXEC)
	answers := blocktest.NewEndpoint(h.epoll)
	err[2] = h.engine.Watch(answers)
	if err := errors.Join(err[:]...); err != nil {
		h.Fatal(err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN}
	if err := unix.EpollCtl(h.epoll, unix.EPOLL_CTL_ADD, h.stop, &ev); err != nil {
		h.Fatal(err)
	}
	h.update()
	pool := blocktest.NewPool(h, 0)
	h.ended.Go(func() { h.work(answers, pool) })
	h.end = sync.OnceFunc(func() {
		_, _ = unix.Write(h.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		h.ended.Wait()
		h.engine.Close()
		unix.Close(h.epoll)
		unix.Close(h.stop)
	})
	h.Cleanup(h.end)
}

// update does what capi/raw.c does when there is something to do.
func (h *host) update() {
	h.mu.Lock()
	defer h.mu.Unlock()
	var left []*served
	for _, q := range h.queues {
		if !q.Ended() {
			left = append(left, q)
			continue
		}
		if err := unix.EpollCtl(h.epoll, unix.EPOLL_CTL_DEL, int(q.ep.FD), nil); err != nil {
			h.Error(err)
		}
		q.Unwatched()
	}
	h.queues = left
	for h.engine.Waits() {
		q, ep := h.engine.Next(), blocktest.NewEndpoint(h.epoll)
		if q == nil {
			break
		}
		if err := h.engine.Serve(q, ep, 1); err != nil {
			h.Error(err)
			break
		}
		h.queues = append(h.queues, &served{q, ep})
	}
	for note, ok := h.engine.Note(); ok; note, ok = h.engine.Note() {
		h.notes = append(h.notes, note)
	}
}

// work is the worker.
func (h *host) work(answers *batch.Endpoint, pool *blocktest.Pool) {
	turn := pool.NewTurn()
	for {
		var events [16]unix.EpollEvent
		n, err := unix.EpollWait(h.epoll, events[:], -1)
		if err != nil && err != unix.EINTR {
			h.Error(err)
			return
		}
		for _, ev := range events[:max(n, 0)] {
			data := (*[8]byte)(unsafe.Pointer(&ev.Fd)) // Safety: Fd and Pad are the 8 bytes of epoll_data_t
			switch sqe := uintptr(binary.NativeEndian.Uint64(data[:])); sqe {
			case 0:
				return
			case uintptr(answers.SQE):
				h.engine.Answers(make([]batch.Way, 16))
				h.update()
			default:
				turn.Events = ev.Events
				h.turn(sqe, pool, turn)
			}
		}
	}
}

// turn receives from one queue.
func (h *host) turn(sqe uintptr, pool *blocktest.Pool, turn *batch.Turn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, q := range h.queues {
		if uintptr(q.ep.SQE) != sqe {
			continue
		}
		q.Turn(q.ep, turn)
		var all []*batch.RecvData
		for i := range turn.Deliveries {
			for _, payload := range received(&turn.Delivery[i]) {
				h.got[payload]++
				h.byQ[q.number]++
			}
			for d := turn.Delivery[i].Chain; d != nil; d = d.Next {
				all = append(all, d)
			}
		}
		giveBack(pool, turn, all)
	}
}

// count returns how many datagrams with a payload have come by AF_XDP.
func (h *host) count(payload string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got[payload]
}

// noted reports whether there is a note with these words.
func (h *host) noted(words string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.notes {
		if strings.Contains(n.Text, words) {
			return true
		}
	}
	return false
}

// until waits for something, which many threads may bring about.
func (h *host) until(what string, so func() bool) {
	h.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			h.Fatalf("not after %v: %s\nstatus: %+v\nnotes: %v", patience, what, h.engine.Status(), h.notes)
		}
	}
}

// status returns what is so of an interface.
func (h *host) status(name string) (s InterfaceStatus) {
	for _, i := range h.engine.Status().Interfaces {
		if i.Name == name {
			return i
		}
	}
	return s
}

// ruled returns the program of an interface that has its rules; nil if there is none.
func (h *host) ruled(name string) *program {
	h.engine.mu.Lock()
	defer h.engine.mu.Unlock()
	h.engine.net.mu.Lock()
	defer h.engine.net.mu.Unlock()
	for _, d := range h.engine.ruled {
		if d.link.name == name {
			return d.program
		}
	}
	return nil
}

// serves reports whether so many queues of an interface are served, and have their endpoints and rules.
func (h *host) serves(name string, queues int) func() bool {
	return func() bool {
		watched := 0
		for _, q := range h.status(name).Queues {
			if q.Watched {
				watched++
			}
		}
		return watched == queues && h.ruled(name) != nil
	}
}

// unserved reports whether nothing is left of the service of an interface.
func (h *host) unserved(name string) func() bool {
	return func() bool {
		s := h.status(name)
		return s.Name == name && !s.Served && len(s.Queues) == 0
	}
}

// listen lets the engine receive for a port, until the test ends.
func (h *host) listen(port uint16) {
	h.Helper()
	ticket := h.add(port)
	h.Cleanup(func() { h.engine.Remove(ticket) })
}

func (h *host) add(port uint16) (ticket uint64) {
	h.Helper()
	ep := blocktest.NewEndpoint(h.epoll)
	ep.Local = batch.AddrFrom(netip.AddrPortFrom(netip.IPv6Unspecified(), port))
	ticket, err := h.engine.Add(blocktest.Request(batch.KindUDP, ep))
	if err != nil {
		h.Fatal(err)
	}
	return ticket
}

// peer is a host at the other end of a wire, which sends by the kernel.
type peer struct {
	*host
	here netnstest.End // at our end
	end  netnstest.End
	fd   int
	ip   netip.Addr // of the peer
	to   netip.Addr // ours
}

// wire connects a peer by interface name, with addresses of subnet 10.0.subnet.0.
func (h *host) wire(name string, subnet, queues int) *peer {
	h.Helper()
	p := &peer{host: h, ip: netip.AddrFrom4([4]byte{10, 0, byte(subnet), 2}), to: netip.AddrFrom4([4]byte{10, 0, byte(subnet), 1})}
	p.here = netnstest.End{NS: h.ns, Name: name, Queues: queues, Addrs: []netip.Prefix{netip.PrefixFrom(p.to, 24)}}
	p.end = netnstest.End{NS: netnstest.New(h), Name: "peer", Queues: queues, Addrs: []netip.Prefix{netip.PrefixFrom(p.ip, 24)}}
	netnstest.Veth(h, &p.here, &p.end)
	p.fd = socketIn(h, p.end.NS, netip.AddrPortFrom(p.ip, 5000))
	return p
}

// socketIn makes a socket of the kernel's, until the test ends.
func socketIn(t testing.TB, ns *netnstest.NS, local netip.AddrPort) (fd int) {
	t.Helper()
	ns.Do(t, func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(fd) })
		timeout := unix.NsecToTimeval(int64(patience))
		return errors.Join(
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
			unix.Bind(fd, &unix.SockaddrInet4{Addr: local.Addr().As4(), Port: int(local.Port())}))
	})
	return fd
}

// send sends a datagram to a port of ours.
func (p *peer) send(port uint16, payload string) {
	p.Helper()
	p.sendTo(netip.AddrPortFrom(p.to, port), payload)
}

func (p *peer) sendTo(to netip.AddrPort, payload string) {
	p.Helper()
	if err := unix.Sendto(p.fd, []byte(payload), 0, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		p.Fatal(err)
	}
}

// reaches sends until a datagram has come by AF_XDP: before that some may have gone to the
// kernel.
func (p *peer) reaches(port uint16, payload string) {
	p.Helper()
	before := p.count(payload)
	p.until(payload+" arrives by AF_XDP", func() bool {
		p.send(port, payload)
		return p.count(payload) > before
	})
}

// answered sends a datagram by AF_XDP, and waits until the peer has it.
func (p *peer) answered(payload string) batch.Way {
	p.Helper()
	w := batch.Way{
		Remote: batch.AddrFrom(netip.AddrPortFrom(p.ip, 5000)),
		Local:  batch.AddrFrom(netip.AddrPortFrom(netip.IPv4Unspecified(), 443)),
	}
	asked := w
	p.until("a way to the peer", func() bool {
		w = asked
		return p.engine.Resolve(&w) == batch.WayKnown
	})
	q := p.queueOfName(w.Queue)
	if q == nil {
		p.Fatalf("the way leads by queue %v, which is none", w.Queue)
	}
	tx := &batch.Tx{Count: 1, Total: uint32(len(payload)), Remote: w.Remote, Local: w.Local, LocalMAC: w.LocalMAC, NextHopMAC: w.NextHopMAC}
	tx.Length[0] = uint16(copy(tx.Data[:], payload))
	if errno, _ := q.Send(nil, tx, false); errno != 0 {
		p.Fatalf("send: %v", errno)
	}
	p.hears(p.fd, payload)
	return w
}

func (h *host) queueOfName(name unsafe.Pointer) *Queue {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, q := range h.queues {
		if q.ep.Queue == name {
			return q.Queue
		}
	}
	return nil
}

// hears wants a datagram at a socket of the kernel's.
func (h *host) hears(fd int, want string) {
	h.Helper()
	buf := make([]byte, 9000)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil || string(buf[:n]) != want {
		h.Fatalf("a socket of the kernel's got %.40q (%d bytes), %v; want %.40q (%d bytes)", buf[:max(n, 0)], n, err, want, len(want))
	}
}

// counters are those of the program of an interface.
func (h *host) counters(name string) classifier.Counters {
	h.Helper()
	p := h.ruled(name)
	if p == nil {
		h.Fatalf("interface %s has no program", name)
	}
	c, _, err := p.Counters()
	if err != nil {
		h.Fatal(err)
	}
	return c
}

// linkIn does something to an interface of a namespace.
func linkIn(t testing.TB, ns *netnstest.NS, name string, f func(h *netlink.Handle, l netlink.Link) error) {
	t.Helper()
	ns.Do(t, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		l, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		if err := f(h, l); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
}

// moveLink moves an interface to another namespace.
func moveLink(t testing.TB, from *netnstest.NS, name string, to *netnstest.NS) {
	t.Helper()
	var ns *os.File
	to.Do(t, func() (err error) {
		ns, err = os.Open(threadNamespace)
		return err
	})
	defer ns.Close()
	linkIn(t, from, name, func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetNsFd(l, int(ns.Fd())) })
}

// numbered makes the payload differ in every datagram.
func numbered(text string, n int) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return text + string(b[:])
}

// Queues returns all queues, whether they have an endpoint or not.
func (e *Engine) Queues() (all []*Queue) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	for _, d := range e.net.devices {
		all = append(all, d.queues...)
	}
	return all
}
