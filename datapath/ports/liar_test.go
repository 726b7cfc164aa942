// SPDX-License-Identifier: MIT

package ports

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

// newcomer is a lease that has its claim, and nothing else.
func (r *room) newcomer(id int) *Lease {
	r.Helper()
	l := &Lease{request: member(id), state: r.dir()}
	var err error
	l.claim, err = portres.Acquire(l.state, portres.Spec{Proto: rules.UDP, Port: number, Party: l.request.party(true)})
	r.must(err)
	r.Cleanup(func() {
		l.state = nil
		l.Release()
	})
	return l
}

// join joins once, on a thread of a user.
func (r *room) join(l *Lease, uid int) (err error) {
	r.Helper()
	rundirtest.As(r, r.ns, uid, nil, func() {
		there := false
		if there, err = l.claim.AtDoor(limit, func() error { return l.join(limit) }); !there {
			r.Error("not at the door")
		}
	})
	return err
}

// A reply is what a false member says to a question, and the descriptors that
// it sends, its own copies of which it closes. Nothing at all ends the connection.
type reply func(op uint16) (message []byte, fds []int)

// falseMember answers newcomers until the test ends.
func (r *room) falseMember(say reply) {
	r.Helper()
	dir := r.dir()
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: dir.ShortPath("udp-4433.FALSE.join"), Net: "unixpacket"})
	r.must(errors.Join(err, os.Chmod(dir.ShortPath("udp-4433.FALSE.join"), 0o777)))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			for {
				var q question
				if _, err := receive(conn, &q); err != nil {
					break
				}
				message, fds := say(q.Op)
				if message == nil {
					break
				}
				var rights []byte
				if len(fds) != 0 {
					rights = unix.UnixRights(fds...)
				}
				conn.WriteMsgUnix(message, rights, nil)
				descriptors.CloseAll(fds)
			}
			conn.Close()
		}
	}()
	r.Cleanup(func() {
		listener.Close()
		<-done
	})
}

// truth is what an honest member has: a group of steering and one socket, on a
// port that is not guarded.
type truth struct {
	*room
	group *steering.Group
	fds   []int
}

func newTruth(t *testing.T) *truth {
	r := enterRoom(t)
	h := &truth{room: r}
	r.ns.Do(t, func() (err error) {
		if h.group, err = steering.Create(nine); err != nil {
			return err
		}
		t.Cleanup(func() { h.group.Close() })
		unguarded := rules.Unguarded
		door, members, err := hold.Open(hold.Options{Proto: rules.UDP, Addr: member(1).Addr, Members: 1, Shared: true, Most: &unguarded, NewSocket: newSocket})
		if err != nil {
			return err
		}
		door.Release()
		h.fds = members
		return h.group.Attach(members[0])
	})
	t.Cleanup(func() { descriptors.CloseAll(h.fds) })
	return h
}

// dup copies descriptors, which are sent and closed.
func dup(fds ...int) (copies []int) {
	for _, fd := range fds {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			panic(err)
		}
		copies = append(copies, n)
	}
	return copies
}

func parts(g *steering.Group) []int {
	fds := g.FDs()
	return fds[:]
}

// otherParts returns the descriptors of another group.
func otherParts(e cibir.Encoding) []int {
	g, err := steering.Create(e)
	if err != nil {
		panic(err)
	}
	defer g.Close()
	return dup(parts(g)...)
}

func granted() []byte { return encode(answer{Magic: magic, Version: version}) }

// Whatever a member hands over, a newcomer is not let in by it, says why, and
// closes it.
func TestFalseMember(t *testing.T) {
	for name, test := range map[string]struct {
		say  func(h *truth, op uint16) ([]byte, []int)
		want string
	}{
		"no answer": {func(*truth, uint16) ([]byte, []int) { return nil, nil }, "it does not answer"},
		"nothing":   {func(*truth, uint16) ([]byte, []int) { return []byte{}, nil }, "it does not answer"},
		"garbage": {func(h *truth, _ uint16) ([]byte, []int) { return []byte("garbage"), dup(parts(h.group)...) },
			"it sends 7 bytes that are no message"},
		"half a message": {func(h *truth, _ uint16) ([]byte, []int) { return granted()[:100], dup(parts(h.group)...) },
			"it sends a message of 100 bytes, where 268 are due"},
		"more than a message": {func(h *truth, _ uint16) ([]byte, []int) { return append(granted(), 0), dup(parts(h.group)...) },
			"it sends a message of 269 bytes"},
		"far more than a message": {func(h *truth, _ uint16) ([]byte, []int) {
			return append(granted(), make([]byte, 60000)...), dup(parts(h.group)...)
		}, "it sends a message of more than"},
		"another version": {func(h *truth, _ uint16) ([]byte, []int) {
			return encode(answer{Magic: magic, Version: 7}), dup(parts(h.group)...)
		}, "another version of the protocol for joining: end it, or bring both programs to one version (7 and 1)"},
		"a longer one of another version": {func(*truth, uint16) ([]byte, []int) {
			return append(encode(answer{Magic: magic, Version: 2}), 1, 2, 3), nil
		}, "another version"},
		"a refusal with commands to the terminal": {func(*truth, uint16) ([]byte, []int) {
			a := answer{Magic: magic, Version: version, Errno: 1}
			copy(a.Reason[:], "\x1b]0;title\x07\u009b31m\xff no\nway")
			return encode(a), nil
		}, "it refuses: ?]0;title??31m� no?way"},
		"a refusal without an end": {func(*truth, uint16) ([]byte, []int) {
			a := answer{Magic: magic, Version: version, Errno: 1}
			copy(a.Reason[:], bytes.Repeat([]byte("x"), 256))
			return encode(a), nil
		}, "it refuses: " + strings.Repeat("x", 256)},
		"no descriptors": {func(*truth, uint16) ([]byte, []int) { return granted(), nil },
			"it hands over 0 descriptors, where 7 or more are due"},
		"one too few": {func(h *truth, _ uint16) ([]byte, []int) { return granted(), dup(parts(h.group)[:6]...) },
			"it hands over 6 descriptors"},
		"more than there is room for": {func(h *truth, _ uint16) ([]byte, []int) {
			return granted(), dup(slices.Repeat(parts(h.group)[:1], 100)...)
		}, "descriptors for which there is no room"},
		"two guards": {func(h *truth, _ uint16) ([]byte, []int) {
			return granted(), dup(append(parts(h.group), h.fds[0], h.fds[0])...)
		},
			"hand over one guard at most"},
		"a guard that is none": {func(h *truth, _ uint16) ([]byte, []int) { return granted(), dup(append(parts(h.group), h.fds[0])...) },
			"is no guard of udp port 4433"},
		"something else": {func(*truth, uint16) ([]byte, []int) { return granted(), dup(0, 0, 0, 0, 0, 0, 0) }, "steering: adopt"},
		"another order": {func(h *truth, _ uint16) ([]byte, []int) {
			fds := dup(parts(h.group)...)
			slices.Reverse(fds[1:])
			return granted(), fds
		}, "steering: adopt"},
		"maps of two ports": {func(h *truth, _ uint16) ([]byte, []int) {
			fds, other := dup(parts(h.group)...), otherParts(nine)
			fds[6], other[6] = other[6], fds[6]
			descriptors.CloseAll(other)
			return granted(), fds
		}, "steering: adopt"},
		"another encoding": {func(*truth, uint16) ([]byte, []int) {
			return granted(), otherParts(cibir.Encoding{Length: 2, SourceOffset: 1, DestinationOffset: 1})
		}, "it shares the port by identifiers at 2@1/1, and this one is at 2@9/9"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTruth(t)
			h.falseMember(func(op uint16) ([]byte, []int) { return test.say(h, op) })
			h.wantNotLetIn(0, test.want)
		})
	}
}

// wantNotLetIn joins as a user, which must fail in these words and leave nothing open.
func (h *truth) wantNotLetIn(uid int, words string) {
	h.Helper()
	l := h.newcomer(1)
	err := h.join(l, uid)
	if _, ok := errors.AsType[*joinError](err); !ok || !errors.Is(err, unix.EADDRINUSE) {
		h.Errorf("error %v (%T)", err, err)
	}
	wantWords(h, fmt.Sprint(err), fmt.Sprintf("process %d: ", os.Getpid()), words)
	if l.door != nil || l.group != nil || l.broker != nil || l.sockets != nil {
		h.Errorf("the lease has something: %+v", l)
	}
}

// The same of the sockets that a newcomer gets which cannot bind its own.
func TestFalseSockets(t *testing.T) {
	udp := func(port int) func(*truth) []int {
		return func(h *truth) []int { return h.bound(unix.SOCK_DGRAM, &unix.SockaddrInet6{Port: port}) }
	}
	both := func(f func(*truth) []int) func(*truth) []int {
		return func(h *truth) []int { return append(f(h), f(h)...) }
	}
	for name, test := range map[string]struct {
		fds  func(*truth) []int
		want string
	}{
		"none":            {func(*truth) []int { return nil }, "it hands over 0 sockets, where 2 are due"},
		"one too few":     {udp(number), "it hands over 1 sockets"},
		"something else":  {func(*truth) []int { return dup(0, 0) }, "SO_PROTOCOL"},
		"not bound":       {both(udp(0)), "where one of the port is due"},
		"of another port": {both(udp(number + 1)), "where one of the port is due"},
		"of TCP": {both(func(h *truth) []int { return h.bound(unix.SOCK_STREAM, &unix.SockaddrInet6{Port: number}) }),
			"a tcp socket"},
		"of an address": {both(func(h *truth) []int {
			return h.bound(unix.SOCK_DGRAM, &unix.SockaddrInet6{Port: number, Addr: [16]byte{15: 1}})
		}),
			"where one of the port is due"},
		"of another namespace": {func(h *truth) []int {
			elsewhere := truth{room: &room{TB: h.TB, ns: netnstest.New(h)}}
			return append(udp(number)(&elsewhere), udp(number)(&elsewhere)...)
		}, "another network namespace"},
		"the same twice": {func(h *truth) []int { return dup(h.fds[0], h.fds[0]) }, "the socket is in a slot already"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTruth(t)
			h.falseMember(func(op uint16) ([]byte, []int) {
				if op == opJoin {
					return encode(answer{Magic: magic, Version: version, Owned: 1}), dup(parts(h.group)...)
				}
				return granted(), test.fds(h)
			})
			h.wantNotLetIn(alice, test.want)
		})
	}
}

// bound makes a socket in the namespace.
func (h *truth) bound(kind int, local *unix.SockaddrInet6) (fds []int) {
	h.ns.Do(h, func() error {
		fd, err := unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
		if err == nil && local.Port != 0 {
			err = unix.Bind(fd, local)
		}
		fds = []int{fd}
		return err
	})
	return fds
}

// A process of this version is told the same by one of another.
func TestMembersSayTheirVersion(t *testing.T) {
	r := newRoom(t)
	r.start("one", who{}).acquire(1)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	r.must(err)
	defer unix.Close(fd)
	r.must(unix.Connect(fd, &unix.SockaddrUnix{Name: r.dir().ShortPath(r.sockets()[0])}))
	r.must(unix.Send(fd, append(encode(question{magic, 2, opJoin, 0}), "of the future"...), 0))
	b := make([]byte, 1024)
	n, err := unix.Read(fd, b)
	r.must(err)
	var a answer
	r.must(decode(b[:n], &a))
	wantWords(t, fmt.Sprint(a.refusal()), "another version", "(2 and 1)")
	if n, err := unix.Read(fd, b); n != 0 || err != nil {
		t.Errorf("the connection goes on: %d, %v", n, err)
	}
}

// A liar among honest members costs nothing but its own help.
func TestFalseMemberAmongHonestOnes(t *testing.T) {
	r := newRoom(t)
	c := r.client()
	r.start("honest", who{}).acquire(1)
	r.falseMember(func(uint16) ([]byte, []int) { return []byte("garbage"), nil })
	two := r.start("two", who{})
	for range 10 { // it is asked first every other time
		two.acquire(2)
		c.wantAt(2, "two")
		two.do(order{Do: "release"})
	}
}
