// SPDX-License-Identifier: MIT

package pool

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// What is read is a message that some member could send, or it is refused.
func FuzzDecode(f *testing.F) {
	f.Add((&message{Kind: hello, Slot: 7}).encode())
	f.Add(serving(topic{1, 2, 1}, 3, tenure(0).next().of(4)).encode())
	f.Add((&account{Slot: 3, Found: 1, Count: 2}).encode())
	f.Add(ofVersion(version + 1))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decode(b); err == nil && (m.check() != nil || !bytes.Equal(m.encode(), b)) {
			t.Errorf("%x was read as %+v", b, m)
		} else if err != nil && err.Error() == "" {
			t.Errorf("%x is refused without a word", b)
		}
		if a, err := decodeAccount(b); err == nil {
			var o ObservedPool
			if o.learn(a); len(o.Account.Sockets) != int(a.Count) {
				t.Errorf("%x was read as %+v, learned as %+v", b, a, o.Account)
			}
		}
	})
}

// A geometry that is taken has room for all that it says, and not more than there may be.
func FuzzGeometry(f *testing.F) {
	f.Add(uint32(4), uint32(64), uint32(64), uint32(4*64+128))
	f.Add(uint32(MaxMembers), ^uint32(0), uint32(1), uint32(1))
	f.Fuzz(func(t *testing.T, members, ring, send, receive uint32) {
		g := geometry{Members: members, Ring: ring, Send: send, Receive: receive}
		if g.check() != nil {
			return
		}
		if g.Members == 0 || g.Members > MaxMembers || uint64(g.chunks()) < uint64(g.Receive) || uint64(g.chunks())*chunkSize > 1<<40 {
			t.Errorf("%+v is taken: %d chunks", g, g.chunks())
		}
	})
}

// Names in the state directory are a member's, a pool's, or nobody's.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"xdp", "xdp-1", "xdp-1-0", "xdp.5.ABC.member", "xdp.1024.A.member", "xdp--1", "xdp-1-99999999999"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		slot, isSocket := parseSocket(name)
		p, isPool := parsePool(name)
		if isSocket && (slot >= MaxSlots || isPool) || isPool && (p.Ifindex < 0 || p.Queue < 0) {
			t.Errorf("%q: slot %d, %v; %+v, %v", name, slot, isSocket, p, isPool)
		}
	})
}

// script turns bytes into messages and their descriptors.
type script struct {
	bytes []byte
	about topic
	shape geometry
	fds   []int // any of which a message may carry
}

func (s *script) next() (b byte) {
	if len(s.bytes) > 0 {
		b, s.bytes = s.bytes[0], s.bytes[1:]
	}
	return b
}

// message makes one in which most is right, or any bytes.
func (s *script) message() (b []byte, fds []int) {
	how := s.next()
	m := message{Kind: kind(1 + how%10), Slot: uint32(s.next()) << (how % 3), Topic: s.about, ID: uint32(s.next() % 4), Found: uint32(how >> 7), Shape: s.shape}
	if s.next()%4 == 0 {
		m.Topic = topic{uint32(s.next()), uint32(s.next()), uint32(s.next() % 3)}
	}
	m.Count, m.Maps = uint32(s.next()%5), uint32(s.next()%5/4)
	for i := range m.Seats[:min(int(m.Count), len(m.Seats))] {
		m.Seats[i] = seatOf{uint32(s.next() % 8), tenure(0).next().of(uint32(s.next()))}
	}
	for range int(s.next() % 8) {
		fds = append(fds, s.fds[int(s.next())%len(s.fds)])
	}
	b = m.encode()
	switch s.next() % 8 {
	case 0:
		b = b[:1+int(s.next())%len(b)]
	case 1:
		for range 1 + s.next()%4 {
			b[(int(s.next())<<8|int(s.next()))%len(b)] = s.next()
		}
	}
	return b, fds
}

// anyFDs are descriptors of all kinds, the right ones among them.
func anyFDs(f *testing.F, a *actor) []int {
	f.Helper()
	pipe := make([]int, 2)
	if err := unix.Pipe2(pipe, unix.O_CLOEXEC); err != nil {
		f.Fatal(err)
	}
	list := append(pipe, null(), unsealed(4096), memfd("packets", int(a.shape.chunks())*chunkSize), memfd("control", controlSize(&a.shape)))
	f.Cleanup(func() { descriptors.CloseAll(list) })
	return append(list, a.FD())
}

func write(c *net.UnixConn, b []byte, fds []int) error {
	var rights []byte
	if len(fds) != 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err := c.WriteMsgUnix(b, rights, nil)
	return err
}

// Whoever connects to a member, and whatever it says, with whatever descriptors: the member goes on, keeps none of
// them, and others can join.
func FuzzStranger(f *testing.F) {
	w := newWire(f)
	a := w.act(small)
	fds := anyFDs(f, a)
	f.Cleanup(a.die)
	f.Add([]byte{})
	f.Add([]byte("\x00\x05\x00\x01\x00\x00\x00\x05\x01\x01\x01\x00\x00\x00\x07"))
	f.Add([]byte("\x04\x28\x01\x01\x01\x00\x01\x09\x01\x06\x07\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		w.TB = t
		defer func() { w.TB = f }()
		before := openFDs(t)
		conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: a.accept.path, Net: "unixpacket"})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(limit))
		s := script{bytes: data, about: topic{Ifindex: uint32(w.right.Index), Pool: 1}, shape: a.shape, fds: fds}
		if s.next()%2 == 0 {
			_ = send(conn, &message{Kind: hello, Slot: 40}, nil)
		}
		for range 12 {
			if len(s.bytes) == 0 {
				break
			}
			b, carried := s.message()
			if write(conn, b, carried) != nil {
				break
			}
		}
		a.feed(3)
		a.eat()
		conn.Close()
		a.waitAlone()
		awaitFDs(t, before)
	})
}

// A newcomer is told anything by who has the pool: it says what is wrong, or joins, and keeps no descriptor.
func FuzzOffer(f *testing.F) {
	door, queue, answer := doorPatience, queuePatience, answerPatience
	doorPatience, queuePatience, answerPatience = 20*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	f.Cleanup(func() { doorPatience, queuePatience, answerPatience = door, queue, answer })
	w := newWire(f)
	f.Add([]byte{}, false)
	f.Add([]byte("\x02\x03\x01"), false)
	f.Add([]byte("any bytes will do as a seed, also these"), true)
	f.Fuzz(func(t *testing.T, data []byte, raw bool) {
		w.TB = t
		defer func() { w.TB = f }()
		before := openFDs(t)
		s := script{bytes: data}
		l := w.lie(func(c *net.UnixConn, in *message) {
			_ = c.SetWriteDeadline(time.Now().Add(limit))
			if raw {
				_ = write(c, append([]byte{s.next()}, s.bytes...), nil)
				return
			}
			say(s.damage)(c, in)
		})
		m := w.openOnly()
		q, err := w.tryJoin(m, 0, small)
		if err == nil {
			err = q.Leave()
		} else if err.Error() == "" {
			t.Error("refused without a word")
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		m.dir.Close()
		l.end()
		awaitFDs(t, before)
	})
}

// damage makes an offer wrong.
func (s *script) damage(o *offer) {
	for range s.next() % 4 {
		switch s.next() % 8 {
		case 0:
			o.Shape.Members = uint32(s.next())
		case 1:
			o.Shape.Ring = uint32(s.next()) << (s.next() % 25)
		case 2:
			o.Shape.Send = uint32(s.next()) << (s.next() % 25)
		case 3:
			o.Shape.Receive = uint32(s.next()) << (s.next() % 25)
		case 4:
			o.Count, o.Maps = uint32(s.next()%66), uint32(s.next()%2)
		case 5:
			o.Seats[0] = seatOf{uint32(s.next()), tenure(binary.NativeEndian.Uint32([]byte{s.next(), s.next(), s.next(), s.next()}))}
		case 6:
			makers := []func() int{null, func() int { return unsealed(4096) }, func() int { return memfd("small", chunkSize) }}
			o.replace(int(s.next())%len(o.fds), makers[int(s.next())%len(makers)]())
		case 7:
			o.fds = append(o.fds, null())
		}
	}
}

func openFDs(t *testing.T) int {
	t.Helper()
	open, err := netnstest.OpenFDs()
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// awaitFDs waits until no more descriptors are open than before: a connection is closed when its reader ends.
func awaitFDs(t *testing.T, before int) {
	t.Helper()
	now := openFDs(t)
	for deadline := time.Now().Add(limit); now > before; now = openFDs(t) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors open, were %d", now, before)
		}
		time.Sleep(time.Millisecond)
	}
}
