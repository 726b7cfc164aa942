// SPDX-License-Identifier: MIT

package steering

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// limit bounds the wait for what must happen.
const limit = 10 * time.Second

// number is the port that is shared, in each test's own namespace.
const number = 4433

func TestMain(m *testing.M) {
	if os.Getenv(memberEnv) != "" {
		memberMain()
		return
	}
	os.Exit(m.Run())
}

// port is a shared port in a network namespace of its own, and a client of it.
type port struct {
	t      testing.TB
	ns     *netnstest.NS
	g      *Group
	v4, v6 int          // the client
	open   map[int]bool // sockets that the test made and has not closed
}

// newPort also checks that the test leaks no descriptor.
func newPort(t testing.TB, e cibir.Encoding) *port {
	t.Helper()
	netnstest.CheckFDs(t)
	p := &port{t: t, ns: netnstest.New(t), open: map[int]bool{}}
	p.g = newGroup(t, e)
	p.v4 = p.client(&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	p.v6 = p.client(&unix.SockaddrInet6{Addr: [16]byte{15: 1}})
	t.Cleanup(func() {
		for fd := range p.open {
			unix.Close(fd)
		}
	})
	return p
}

func newGroup(t testing.TB, e cibir.Encoding) *Group {
	t.Helper()
	netnstest.Require(t)
	g, err := Create(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func (p *port) client(local unix.Sockaddr) int {
	p.t.Helper()
	family := unix.AF_INET6
	if _, ok := local.(*unix.SockaddrInet4); ok {
		family = unix.AF_INET
	}
	fd := p.unbound(family)
	if err := unix.Bind(fd, local); err != nil {
		p.t.Fatal(err)
	}
	return fd
}

// unbound makes a UDP socket in the namespace, closed when the test ends.
func (p *port) unbound(family int) (fd int) {
	p.t.Helper()
	p.ns.Do(p.t, func() (err error) {
		fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	p.open[fd] = true
	return fd
}

func (p *port) close(fds ...int) {
	for _, fd := range fds {
		delete(p.open, fd)
		unix.Close(fd)
	}
}

// sockets makes n sockets of the group.
func (p *port) sockets(n int) (fds []int) {
	p.t.Helper()
	p.ns.Do(p.t, func() (err error) {
		fds, err = memberSockets(p.g, n)
		return err
	})
	for _, fd := range fds {
		p.open[fd] = true
	}
	return fds
}

// memberSockets makes n sockets of a group in the namespace of the calling thread. Each attaches the steering:
// it may be the only one.
func memberSockets(g *Group, n int) (fds []int, err error) {
	for range n {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err == nil {
			err = join(fd)
		}
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet6{Port: number})
		}
		if err == nil {
			err = g.Attach(fd)
		}
		if err != nil {
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// join sets what a socket of the group needs before it is bound.
func join(fd int) error {
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
}

// publish makes sockets and publishes them.
func (p *port) publish(slot uint32, id cibir.ID, n int) []int {
	p.t.Helper()
	fds := p.sockets(n)
	if err := p.g.Publish(slot, id, fds); err != nil {
		p.t.Fatal(err)
	}
	return fds
}

func (p *port) counters() Counters {
	p.t.Helper()
	c, err := p.g.Counters()
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (c Counters) total() uint64 {
	return c.Delivered + c.TooShort + c.NoIdentifier + c.UnknownIdentifier + c.DeadMember + c.NoSocket
}

func (c Counters) minus(before Counters) Counters {
	return Counters{
		c.Delivered - before.Delivered, c.TooShort - before.TooShort, c.NoIdentifier - before.NoIdentifier,
		c.UnknownIdentifier - before.UnknownIdentifier, c.DeadMember - before.DeadMember, c.NoSocket - before.NoSocket,
	}
}

// families are the ways to the port.
var families = []string{"v4", "v6"}

// address is the port on loopback.
func address(family string) unix.Sockaddr {
	if family == "v4" {
		return &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}
	}
	return &unix.SockaddrInet6{Port: number, Addr: [16]byte{15: 1}}
}

// send sends a datagram to the port over loopback.
func (p *port) send(family string, datagram []byte) {
	p.t.Helper()
	client := p.v6
	if family == "v4" {
		client = p.v4
	}
	if err := unix.Sendto(client, datagram, 0, address(family)); err != nil {
		p.t.Fatalf("send %d bytes over %s: %v", len(datagram), family, err)
	}
}

// judge sends a datagram and returns how it was counted.
func (p *port) judge(family string, datagram []byte) Counters {
	p.t.Helper()
	before := p.counters()
	p.send(family, datagram)
	return p.judged(before, 1)
}

// judged waits until n more datagrams have been counted.
func (p *port) judged(before Counters, n uint64) (c Counters) {
	p.t.Helper()
	until(p.t, "the datagrams are counted", func() bool {
		c = p.counters().minus(before)
		return c.total() >= n
	})
	if c.total() != n {
		p.t.Errorf("%d datagrams were counted as %+v", n, c)
	}
	return c
}

// until repeats the question that has no event.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// wantAt sends a datagram, and fails unless it is delivered to one of these sockets.
func (p *port) wantAt(fds []int, family string, datagram []byte) {
	p.t.Helper()
	if c := p.judge(family, datagram); c != (Counters{Delivered: 1}) {
		p.t.Errorf("%x over %s was counted as %+v, not delivered", head(datagram), family, c)
		return
	}
	fd := p.readable()
	if !slices.Contains(fds, fd) {
		p.t.Errorf("%x over %s went to socket %d, not to one of %v", head(datagram), family, fd, fds)
	}
	if got := p.receive(fd); string(got) != string(datagram) {
		p.t.Errorf("%x over %s arrived as %x", head(datagram), family, head(got))
	}
	p.wantSilence()
}

// wantDropped sends a datagram over both families, and fails unless it is dropped and counted so.
func (p *port) wantDropped(want Counters, datagram []byte) {
	p.t.Helper()
	for _, family := range families {
		if c := p.judge(family, datagram); c != want {
			p.t.Errorf("%x over %s was counted as %+v, want %+v", head(datagram), family, c, want)
		}
	}
	p.wantSilence()
}

func head(datagram []byte) []byte { return datagram[:min(len(datagram), 64)] }

func (p *port) pollList() (list []unix.PollFd) {
	for fd := range p.open {
		list = append(list, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return list
}

// readable waits until a socket has a datagram, and returns the socket.
func (p *port) readable() int {
	p.t.Helper()
	for {
		list := p.pollList()
		n, err := unix.Poll(list, int(limit.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			p.t.Fatalf("no datagram arrived: %v", err)
		}
		i := slices.IndexFunc(list, func(f unix.PollFd) bool { return f.Revents != 0 })
		return int(list[i].Fd)
	}
}

// wantSilence fails if a socket has a datagram.
func (p *port) wantSilence() {
	p.t.Helper()
	list := p.pollList()
	if _, err := unix.Poll(list, 0); err != nil && err != unix.EINTR {
		p.t.Fatal(err)
	}
	for _, f := range list {
		if f.Revents != 0 {
			p.t.Errorf("socket %d got %x, which is not for it", f.Fd, head(p.receive(int(f.Fd))))
		}
	}
}

// receive waits for a datagram at a socket: it is counted a moment before it is there.
func (p *port) receive(fd int) []byte {
	p.t.Helper()
	b := make([]byte, 1<<16)
	for deadline := time.Now().Add(limit); ; {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err == nil {
			return b[:n]
		}
		if err != unix.EAGAIN || time.Now().After(deadline) {
			p.t.Fatalf("receive from socket %d: %v", fd, err)
		}
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(limit.Milliseconds()))
	}
}

// long and short make a datagram with an identifier where e has it.
func long(e cibir.Encoding, id cibir.ID) []byte {
	source := slices.Concat(filler(e.SourceOffset), id.Bytes(), []byte{0xee, 0xee})
	return header(source[:min(len(source), 255)])
}

// header makes a datagram with this source connection ID.
func header(source []byte) []byte {
	return slices.Concat([]byte{0xc0, 0, 0, 0, 1, 8}, filler(8), []byte{byte(len(source))}, source, []byte("payload"))
}

func short(e cibir.Encoding, id cibir.ID) []byte {
	return slices.Concat([]byte{0x40}, filler(e.DestinationOffset), id.Bytes(), []byte("payload"))
}

func filler(n uint8) []byte { return []byte(strings.Repeat("\xdd", int(n))) }

// identifier is the nth identifier of a length.
func identifier(length uint8, n int) cibir.ID {
	b := make([]byte, length)
	for i := range b {
		b[len(b)-1-i] = byte(n >> (8 * min(i, 7)))
	}
	id, err := cibir.NewID(b)
	if err != nil {
		panic(fmt.Sprintf("identifier of %d bytes: %v", length, err))
	}
	return id
}
