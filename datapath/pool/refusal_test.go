// SPDX-License-Identifier: MIT

package pool

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// impatient makes waiting short.
func impatient(t testing.TB) {
	door, queue, answer := doorPatience, queuePatience, answerPatience
	doorPatience, queuePatience, answerPatience = 150*time.Millisecond, 150*time.Millisecond, 150*time.Millisecond
	t.Cleanup(func() { doorPatience, queuePatience, answerPatience = door, queue, answer })
}

// replace makes another descriptor of an offer.
func (o *offer) replace(i, fd int) {
	descriptors.CloseAll(o.fds[i : i+1])
	o.fds[i] = fd
}

// Whatever the member says whom a newcomer asks, the newcomer says what is wrong, leaks nothing,
// and makes a new pool when that member has gone.
func TestNewcomerIsToldLies(t *testing.T) {
	impatient(t)
	w := newWire(t)
	for name, test := range map[string]struct {
		answer func(*net.UnixConn, *message)
		says   string
	}{
		"nothing":      {func(*net.UnixConn, *message) {}, "nobody answers"},
		"hangs up":     {func(c *net.UnixConn, _ *message) { c.Close() }, "nobody answers"},
		"garbage":      {func(c *net.UnixConn, _ *message) { _, _ = c.Write([]byte("garbage")) }, "nobody answers"},
		"too much":     {func(c *net.UnixConn, _ *message) { _, _ = c.Write(make([]byte, 4096)) }, "nobody answers"},
		"newer":        {func(c *net.UnixConn, _ *message) { _, _ = c.Write(ofVersion(version + 1)) }, "nobody answers"},
		"unasked":      {func(c *net.UnixConn, _ *message) { _ = send(c, &message{Kind: reply, ID: 77, Found: 1}, []int{0, 1}) }, "nobody answers"},
		"greets":       {func(c *net.UnixConn, _ *message) { _ = send(c, &message{Kind: hello}, nil) }, "nobody answers"},
		"no shape":     {say(func(o *offer) { o.Shape = geometry{} }), "0 members"},
		"huge":         {say(func(o *offer) { o.Shape = geometry{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32, 0} }), "members"},
		"odd ring":     {say(func(o *offer) { o.Shape.Ring = 65 }), "powers of two"},
		"few chunks":   {say(func(o *offer) { o.Shape.Receive = 256 }), "more than 256"},
		"no socket":    {say(func(o *offer) { o.Count = 0 }), "descriptors for 0 sockets"},
		"fewer":        {say(func(o *offer) { o.Count = 2 }), "3 descriptors for 2 sockets"},
		"no packets":   {say(func(o *offer) { o.replace(0, null()) }), "no memfd"},
		"unsealed":     {say(func(o *offer) { o.replace(0, unsealed(int(o.Shape.chunks())*chunkSize)) }), "seals"},
		"small":        {say(func(o *offer) { o.replace(0, memfd("small", chunkSize)) }), "2048 bytes"},
		"small seats":  {say(func(o *offer) { o.replace(1, memfd("small", 64)) }), "64 bytes"},
		"seats gone":   {say(func(o *offer) { o.replace(1, unsealed(controlSize(&o.Shape))) }), "seals"},
		"not a socket": {say(func(*offer) {}), "bind"},
		"then nothing": {func(c *net.UnixConn, in *message) {
			if in.Kind == who {
				_ = send(c, &message{Kind: reply, ID: in.ID, Found: 1}, nil)
			}
		}, "nobody answers"},
		"then hangs up": {func(c *net.UnixConn, in *message) {
			if in.Kind == who {
				_ = send(c, &message{Kind: reply, ID: in.ID, Found: 1}, nil)
			} else {
				c.Close()
			}
		}, "nobody answers"},
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			netnstest.CheckFDs(t)
			l := w.lie(test.answer)
			m := w.openOnly()
			_, err := w.tryJoin(m, 0, small)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("joined: %v; want %q", err, test.says)
			}
			l.end()
			q := w.join(m, small)
			w.audit(m)
			if err := errors.Join(q.Leave(), m.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

func ofVersion(v uint16) []byte {
	b := (&message{Kind: reply, Found: 1}).encode()
	binary.NativeEndian.PutUint16(b[4:], v)
	return b
}

// A member that is asked by a liar, or told lies, goes on.
func TestMemberIsToldLies(t *testing.T) {
	w := newWire(t)
	a := w.act(small)
	about := topic{Ifindex: uint32(w.right.Index), Pool: 1}
	for name, lie := range map[string]func(c *net.UnixConn){
		"garbage":         func(c *net.UnixConn) { _, _ = c.Write([]byte{1}) },
		"nothing":         func(*net.UnixConn) {},
		"no hello":        func(c *net.UnixConn) { _ = send(c, &message{Kind: who}, nil) },
		"two hellos":      func(c *net.UnixConn) { _, _ = send(c, &message{Kind: hello}, nil), send(c, &message{Kind: hello}, nil) },
		"no socket":       func(c *net.UnixConn) { greet(c, &message{Kind: serve, Topic: about, Count: 1}) },
		"not a socket":    func(c *net.UnixConn) { greet(c, &message{Kind: serve, Topic: about, Count: 1}, 0) },
		"two sockets":     func(c *net.UnixConn) { greet(c, &message{Kind: serve, Topic: about, Count: 2}, a.FD(), a.FD()) },
		"a far seat":      func(c *net.UnixConn) { greet(c, serving(about, 63, 1), a.FD()) },
		"a seat":          func(c *net.UnixConn) { greet(c, serving(about, 1, tenure(0).next().of(9)), a.FD()) },
		"another's seat":  func(c *net.UnixConn) { greet(c, serving(about, 0, a.tenure), a.FD()) },
		"ended":           func(c *net.UnixConn) { greet(c, &message{Kind: ended, Topic: about}) },
		"answers":         func(c *net.UnixConn) { greet(c, &message{Kind: reply, Found: 1, Topic: about}, 0, 1, 2) },
		"a map":           func(c *net.UnixConn) { greet(c, scattering(about), a.FD(), a.FD()) },
		"no map":          func(c *net.UnixConn) { greet(c, scattering(about), a.FD()) },
		"borrows":         func(c *net.UnixConn) { greet(c, &message{Kind: lend, Topic: about}) },
		"borrows more":    func(c *net.UnixConn) { greet(c, &message{Kind: lend, Topic: topic{Ifindex: 1 << 31, Queue: 7}}) },
		"asks for more":   func(c *net.UnixConn) { greet(c, &message{Kind: hand, Topic: topic{Ifindex: 1 << 31, Queue: 7}}) },
		"does not listen": func(c *net.UnixConn) { ask(c, about, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			netnstest.CheckFDs(t)
			conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: a.accept.path, Net: "unixpacket"})
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
			lie(conn)
			a.feed(10)
			a.eat()
			conn.Close()
			a.waitAlone()
			b := w.act(small)
			b.feed(10)
			b.eat()
			b.feed(10)
			b.die()
			wantWhole(t, a.waitSeats(1), 0)
			for deadline := time.Now().Add(limit); len(a.siblings()) != 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d sockets of nobody", len(a.siblings()))
				}
			}
		})
	}
	w.TB = t
	a.die()
}

func greet(c *net.UnixConn, m *message, fds ...int) {
	_ = send(c, &message{Kind: hello, Slot: 40}, nil)
	_ = send(c, m, fds)
}

func serving(t topic, seat uint32, as tenure) *message {
	return &message{Kind: serve, Topic: t, Count: 1, Seats: [MaxMembers]seatOf{{seat, as}}}
}

// scattering says what is true in map mode only.
func scattering(t topic) *message {
	m := serving(t, 1, tenure(0).next().of(9))
	m.Maps = 1
	return m
}

func ask(c *net.UnixConn, t topic, times int) {
	greet(c, &message{Kind: hand, Topic: t})
	for range times {
		if send(c, &message{Kind: hand, Topic: t}, nil) != nil {
			return
		}
	}
}

func TestVersionsDoNotMix(t *testing.T) {
	w := newWire(t)
	l := w.lie(func(*net.UnixConn, *message) {})
	defer l.end()
	l.lock("xdp", versionAt+version+3)
	w.in(func() error {
		dir, err := rundir.Open(w.base)
		if err != nil {
			return err
		}
		defer dir.Close()
		_, err = Open(dir, w.kernel)
		if other := (*VersionError)(nil); !errors.As(err, &other) || *other != (VersionError{version, version + 3}) {
			t.Errorf("opened: %v", err)
		}
		return nil
	})
}

// Who stops at a door holds up newcomers, who say so, and nobody else.
func TestStoppedAtADoor(t *testing.T) {
	impatient(t)
	w := newWire(t)
	a := w.act(small)
	m := w.openOnly()
	var silent *SilentError
	for _, name := range []string{"xdp-0", "xdp"} {
		file := name
		if name == "xdp-0" {
			file = "xdp-" + strconv.Itoa(w.right.Index) + "-0"
		}
		f, err := enter(m.dir, file)
		if err != nil {
			t.Fatal(err)
		}
		if name == "xdp" {
			w.in(func() error { _, err = Open(m.dir, w.kernel); return nil })
		} else {
			_, err = w.tryJoin(m, 0, small)
		}
		if !errors.As(err, &silent) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
		a.feed(10)
		a.eat()
		f.Close()
	}
	w.join(m, small)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	a.die()
}

// A member that is stopped cannot hand the pool over, but another can, also the socket of
// the stopped one. That one learns of the newcomer when it goes on.
func TestStoppedMember(t *testing.T) {
	impatient(t)
	w := newWire(t)
	stopped := w.spawn(job{Options: small})
	m := w.openOnly()
	stopped.signal(syscall.SIGSTOP)
	_, err := w.tryJoin(m, 0, small)
	silent := (*SilentError)(nil)
	if !errors.As(err, &silent) || len(silent.Peers) != 1 || silent.Peers[0].PID != stopped.cmd.Process.Pid {
		t.Errorf("joined: %v", err)
	}
	t.Log(err)
	stopped.signal(syscall.SIGCONT)
	q := w.join(m, small)
	stopped.signal(syscall.SIGSTOP)
	a := w.act(small)
	w.send(packet(stopped.slot, 1, 100))
	c := a.waitSeats(3)
	if wantWhole(t, c, 0); c.Ring != 1 || !c.Seats[0].Known {
		t.Errorf("%v", c)
	}
	a.feed(10)
	a.eat()
	// The stopped one, and no other, is left when a dies.
	if err := errors.Join(q.Leave(), m.Close()); err != nil {
		t.Error(err)
	}
	a.feed(10)
	a.die()
	stopped.signal(syscall.SIGCONT)
	for deadline := time.Now().Add(limit); ; {
		r := stopped.do("audit")
		if len(r.Census.Seats) == 1 {
			if wantWhole(t, r.Census, 0); r.Received != 1 {
				t.Errorf("%+v", r)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", r.Census, strings.Join(r.Events, "\n"))
		}
	}
	stopped.end()
}

func TestPoolIsFull(t *testing.T) {
	w := newWire(t)
	two := small
	two.Members = 2
	a, b := w.act(two), w.act(small)
	m := w.openOnly()
	for range 2 {
		_, err := w.tryJoin(m, 0, small)
		if full := (*FullError)(nil); !errors.As(err, &full) || full.Most != 2 {
			t.Errorf("joined: %v", err)
		}
	}
	b.die()
	q := w.join(m, small) // waits until the dead one is cleaned up after
	if _, err := w.tryJoin(m, 0, small); !errors.Is(err, ErrJoined) {
		t.Errorf("joined: %v", err)
	}
	if err := q.Leave(); err != nil {
		t.Error(err)
	}
	if err := q.Leave(); !errors.Is(err, ErrClosed) {
		t.Errorf("left: %v", err)
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	if _, err := w.tryJoin(m, 0, small); !errors.Is(err, ErrClosed) {
		t.Errorf("joined: %v", err)
	}
	if _, err := m.Audit(w.right.Index, 0); err == nil {
		t.Error("audited")
	}
	a.die()
}

func TestQueuesThatCannotBeHad(t *testing.T) {
	impatient(t)
	w := newWire(t)
	m := w.open()
	for _, queue := range []int{-1, 1 << 20} {
		if _, err := w.tryJoin(m, queue, small); err == nil {
			t.Errorf("joined queue %d", queue)
		}
	}
	if _, err := w.tryJoin(m, 3, small); !errors.Is(err, xsk.ErrNoQueue) {
		t.Errorf("joined queue 3 of 1: %v", err)
	}
	for _, o := range []Options{
		{Members: 65}, {Members: -1}, {Ring: 100}, {Ring: 32}, {Ring: 1 << 15}, {Send: 100}, {Send: 1 << 15}, {Spare: -1}, {Spare: 1<<16 + 1}, {Members: math.MaxInt},
	} {
		if _, err := w.tryJoin(m, 0, o); err == nil {
			t.Errorf("joined with %+v", o)
		}
	}
	zero := small
	zero.Mode = xsk.ModeZeroCopy
	unsupported := (*xsk.UnsupportedError)(nil)
	if _, err := w.tryJoin(m, 0, zero); !errors.As(err, &unsupported) {
		t.Errorf("zero-copy on a veth: %v", err)
	}
	// Somebody who does not share.
	foreign := foreigner(w)
	if _, err := w.tryJoin(m, 0, small); !errors.Is(err, xsk.ErrBusy) || !errors.Is(err, unix.EBUSY) {
		t.Errorf("joined beside a foreign socket: %v", err)
	}
	if err := foreign.Close(); err != nil {
		t.Error(err)
	}
	w.join(m, small)
	w.audit(m)
}

// foreigner has the queue with an AF_XDP socket that nobody can join.
func foreigner(w *wire) (s *xsk.Socket) {
	memory, err := unix.Mmap(-1, 0, 64*chunkSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = unix.Munmap(memory) })
	w.in(func() error {
		s, err = xsk.Create(&xsk.UMEM{Memory: memory, Chunk: chunkSize}, xsk.ModeCopy,
			xsk.Config{Interface: w.right.Index, RX: 64, Fill: 64, Completion: 64})
		return err
	})
	return s
}

// The kernel releases a queue some time after its last member has gone.
func TestAllGoneAndANewPool(t *testing.T) {
	w := newWire(t)
	for n := range 10 {
		a, b := w.act(small), w.act(small)
		a.feed(10)
		b.feed(10)
		a.eat()
		a.die()
		if n%2 == 0 {
			b.die()
			continue
		}
		if err := b.Leave(); err != nil {
			t.Error(err)
		}
		b.Close()
	}
	a := w.act(Options{})
	if a.shape.Members != defaultMembers {
		t.Errorf("shape %+v", a.shape)
	}
	wantWhole(t, a.waitSeats(1), 0)
	a.die()
}

// Members come and go while another receives all that is sent to it.
func TestLeaveAndRejoin(t *testing.T) {
	w := newWire(t)
	a := w.act(small)
	m := w.openOnly()
	for n := range 30 {
		q := w.join(m, small)
		for i := range 20 {
			w.send(packet(m.Slot(), uint64(i), 100))
		}
		a.feed(20)
		if n%3 == 0 {
			if _, err := q.take(20); err != nil {
				t.Fatal(err)
			}
		}
		if n%2 == 0 {
			if err := q.put(packet(nobody, 1, 100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Leave(); err != nil {
			t.Fatal(err)
		}
		a.eat()
		if a.next != a.sent+1 {
			t.Fatalf("got %d of %d", a.next-1, a.sent)
		}
	}
	c := a.waitSeats(1)
	if wantWhole(t, c, 0); c.InFlight != 0 {
		t.Errorf("%v", c)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	a.await(Left)
	a.die()
}
