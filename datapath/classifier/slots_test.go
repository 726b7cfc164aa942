// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSockets(t *testing.T) {
	s := newHost(t)
	p := packet(here4, deadPort, nil)
	s.want(NoSocket, p)
	for range 2 { // the same again changes nothing
		s.putSocket(deadSlot, 0)
		s.want(Redirected, p)
	}
	another := newSocket(t)
	err := s.c.PutSocket(deadSlot, 0, another)
	wantError(t, err, unix.EEXIST, "socket of slot 77 for queue 0", "delete it first")
	s.deleteSocket(deadSlot, 0)
	s.want(NoSocket, p)
	check(t, s.c.PutSocket(deadSlot, 0, another))
	s.sockets[place{deadSlot, 0}] = true
	s.want(Redirected, p)

	// A socket leaves by itself with its last descriptor.
	check(t, unix.Close(another))
	delete(s.sockets, place{deadSlot, 0})
	s.want(NoSocket, p)
	check(t, s.c.DeleteSocket(deadSlot, 0))
}

func TestPutSocketRefuses(t *testing.T) {
	s := newHost(t)
	file, err := os.Open("/dev/null")
	check(t, err)
	defer file.Close()
	other, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(other)
	wantError(t, s.c.PutSocket(1, 2, other), unix.EOPNOTSUPP, "socket of slot 1 for queue 2", "it is no AF_XDP socket")
	wantError(t, s.c.PutSocket(1, 2, int(file.Fd())), unix.ENOTSOCK)
	wantError(t, s.c.PutSocket(1, 2, 1<<20), unix.EBADF, "descriptor 1048576")
	wantError(t, s.c.PutSocket(1, 2, -1), unix.EBADF)
}

func TestPause(t *testing.T) {
	s := newHost(t)
	exclusive, shared := packet(here4, exclusivePort, nil), packet(here6, sharedPort, short(usual, identifier(usual.Length, 1)))
	s.pause(1) // another queue
	s.want(Redirected, exclusive)
	for range 2 {
		s.pause(0)
		s.want(Paused, exclusive)
		s.want(Paused, shared)
		s.want(UnknownIdentifier, packet(here6, sharedPort, short(usual, identifier(usual.Length, 9))))
	}
	for range 2 {
		s.resume(0)
		s.want(Redirected, exclusive)
		s.want(Redirected, shared)
	}
}

// What a dead datapath leaves behind is removed, and nothing else.
func TestClearSlot(t *testing.T) {
	s := newHost(t)
	s.takePort(1001, Exclusive(busySlot))
	s.putIdentifier(emptyPort, identifier(usual.Length, 7), busySlot)
	check(t, s.c.PutSocket(busySlot, 0, s.fd), s.c.PutSocket(busySlot, MaxQueues-1, s.fd))
	for range 2 {
		check(t, s.c.ClearSlot(busySlot))
	}
	delete(s.sockets, place{busySlot, 0})
	for port, r := range s.ports {
		if r == Exclusive(busySlot) {
			delete(s.ports, port)
		}
	}
	for id, slot := range s.identifiers {
		if slot == busySlot {
			delete(s.identifiers, id)
		}
	}
	s.want(NoPort, packet(here4, 1001, nil))
	s.want(NoPort, packet(here4, exclusivePort, nil))
	s.want(UnknownIdentifier, packet(here4, sharedPort, short(usual, identifier(usual.Length, 1))))
	s.want(UnknownIdentifier, packet(here4, emptyPort, short(usual, identifier(usual.Length, 7))))
	s.want(Redirected, packet(here4, sharedPort, short(usual, identifier(usual.Length, 2))))
	s.takePort(1001, Exclusive(busySlot))
	s.want(NoSocket, packet(here4, 1001, nil))
	ports, err := s.c.Ports()
	check(t, err)
	identifiers, err := s.c.Identifiers()
	check(t, err)
	if len(ports) != len(s.ports) || len(identifiers) != len(s.identifiers) {
		t.Errorf("%v, %v", ports, identifiers)
	}
	// The last of its sockets is gone as well: another can be put there.
	check(t, s.c.PutSocket(busySlot, MaxQueues-1, newSocket(t)))
}

func TestClosedClassifierRefuses(t *testing.T) {
	c := newClassifier(t, Options{})
	for range 2 {
		check(t, c.Close())
	}
	id := identifier(4, 1)
	_, errPorts := c.Ports()
	_, errIdentifiers := c.Identifiers()
	_, errAddresses := c.Addresses()
	_, _, errCounters := c.Counters()
	for name, err := range map[string]error{
		"PutPort": c.PutPort(1, Exclusive(1)), "TakePort": c.TakePort(1, Exclusive(1)), "DeletePort": c.DeletePort(1, Exclusive(1)),
		"PutIdentifier": c.PutIdentifier(1, id, 1), "TakeIdentifier": c.TakeIdentifier(1, id, 1),
		"DeleteIdentifier": c.DeleteIdentifier(1, id, 1), "PutSocket": c.PutSocket(1, 1, 0), "DeleteSocket": c.DeleteSocket(1, 1),
		"ClearSlot": c.ClearSlot(1), "Pause": c.Pause(1), "SetAddresses": c.SetAddresses(nil), "Attach": second(c.Attach(1, Native)),
		"Ports": errPorts, "Identifiers": errIdentifiers, "Addresses": errAddresses, "Counters": errCounters,
		"RedirectedTo": second(c.RedirectedTo(1)),
	} {
		if !errors.Is(err, unix.EBADF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
