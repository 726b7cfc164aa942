// SPDX-License-Identifier: MIT

package ports

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/reserve"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Request is what a listener wants.
type Request struct {
	Proto    rules.Proto
	Addr     netip.AddrPort // port 0: any that is free
	Device   bool           // the sockets that New makes are bound to an interface
	ID       cibir.ID       // zero: no CIBIR
	Encoding cibir.Encoding // with an ID
	XDP      bool           // AF_XDP serves it as well
	Sockets  int            // how many it will make, at least 1

	// New makes an unbound socket for the listener: AF_INET6 with IPV6_V6ONLY off, or
	// AF_INET for an IPv4 address on a host without IPv6. Other processes that join
	// the port may be given sockets that it made; then it is called on a thread of
	// the Go runtime.
	New func() (fd int, err error)
}

func (r *Request) validate() error {
	if r.ID.Len() == 0 {
		return nil
	}
	if err := r.Encoding.Validate(); err != nil {
		return err
	}
	if r.ID.Len() != int(r.Encoding.Length) {
		return fmt.Errorf("identifier %v has %d bytes, and its encoding %v says %d", r.ID, r.ID.Len(), r.Encoding, r.Encoding.Length)
	}
	return nil
}

// port names a port as its file does.
func (r *Request) name(port uint16) string { return fmt.Sprintf("%v-%d", r.Proto, port) }

// party describes the asker to the rules.
func (r *Request) party(steering bool) rules.Party {
	p := rules.Party{
		Kind:    rules.Listener,
		XDP:     r.XDP,
		UID:     uint32(unix.Geteuid()),
		Process: os.Getpid(),
		Program: program(),
	}
	if r.ID.Len() != 0 {
		p.Kind, p.ID, p.Encoding, p.Steering = rules.CIBIR, r.ID, r.Encoding, steering
	}
	return p
}

// program is the name of the executable, as ps shows it.
func program() string {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil || len(comm) < 2 {
		return ""
	}
	return string(comm[:len(comm)-1])
}

// reservation returns what the administrator has laid down for a port, as it
// concerns this process. Reservations that cannot be read are an error: a port
// must not be taken from its owner because a file is damaged.
func (r *Request) reservation(port uint16) (*rules.Reservation, error) {
	return reserve.For(r.Proto, port, uint32(unix.Geteuid()), groups())
}

// groups returns the groups of the process.
func groups() []uint32 {
	gids := []uint32{uint32(unix.Getegid())}
	more, _ := unix.Getgroups()
	for _, g := range more {
		gids = append(gids, uint32(g))
	}
	return gids
}
