// SPDX-License-Identifier: MIT

package steering

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAttachNeedsReusePort(t *testing.T) {
	p := newPort(t, usual)
	err := p.g.Attach(p.unbound(unix.AF_INET6))
	wantError(t, err, unix.EINVAL, "SO_ATTACH_REUSEPORT_EBPF", "set SO_REUSEPORT")
	wantError(t, p.g.Attach(-1), unix.EBADF)
}

// What the documentation of Attach says.
func TestAttachAndBind(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	first := p.unbound(unix.AF_INET6)
	err := errors.Join(join(first), p.g.Attach(first), unix.Bind(first, &unix.SockaddrInet6{Port: number}))
	if err != nil {
		t.Fatal(err)
	}
	p.wantDropped(Counters{UnknownIdentifier: 1}, short(usual, id)) // from the first datagram

	early := p.unbound(unix.AF_INET6)
	if err := errors.Join(join(early), p.g.Attach(early)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(early, &unix.SockaddrInet6{Port: number}); err != unix.EADDRINUSE {
		t.Errorf("bound with a program of its own: %v", err)
	}
	later := p.sockets(1)[0]
	for range 2 {
		if err := p.g.Attach(later); err != nil {
			t.Error(err)
		}
	}
	if err := p.g.Publish(5, id, []int{first, later}); err != nil {
		t.Fatal(err)
	}
	p.wantAt([]int{first, later}, "v4", short(usual, id))
}

// The kernel keeps the program and the maps for as long as it needs them.
func TestSteeringOutlivesItsGroup(t *testing.T) {
	p := newPort(t, usual)
	mine, other := identifier(usual.Length, 1), identifier(usual.Length, 2)
	fd := p.publish(5, mine, 1)[0]
	later := p.publish(6, other, 1)[0]
	if err := p.g.Close(); err != nil {
		t.Fatal(err)
	}
	p.send("v4", short(usual, identifier(usual.Length, 3)))
	p.send("v4", short(usual, other))
	p.send("v6", long(usual, mine))
	if got := p.receive(fd); string(got) != string(long(usual, mine)) {
		t.Errorf("%x", got)
	}
	if got := p.receive(later); string(got) != string(short(usual, other)) {
		t.Errorf("%x", got)
	}
	p.wantSilence()
}

func TestClosedGroupRefuses(t *testing.T) {
	p := newPort(t, usual)
	fds := p.sockets(1)
	for range 2 {
		if err := p.g.Close(); err != nil {
			t.Fatal(err)
		}
	}
	id := identifier(usual.Length, 1)
	_, errCounters := p.g.Counters()
	_, errDelivered := p.g.Delivered(1)
	for name, err := range map[string]error{
		"Attach": p.g.Attach(fds[0]), "Publish": p.g.Publish(1, id, fds), "Withdraw": p.g.Withdraw(1, id),
		"Counters": errCounters, "Delivered": errDelivered,
	} {
		if !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
