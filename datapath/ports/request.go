// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
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
	// AF_INET for an IPv4 address on a host without IPv6. Until Release it may be
	// called for processes that join the port, on any thread of the Go runtime, and
	// a listener that joins may be given sockets that the New of another one made.
	New func() (fd int, err error)
}

func (r *Request) validate() error {
	if r.ID.Len() == 0 {
		return nil
	}
	err := r.Encoding.Validate()
	if err == nil && r.ID.Len() != int(r.Encoding.Length) {
		err = fmt.Errorf("identifier %v has %d bytes, and its encoding %v says %d", r.ID, r.ID.Len(), r.Encoding, r.Encoding.Length)
	}
	if err != nil {
		return kerr.New("listen", fmt.Sprintf("%v %v", r.Proto, r.Addr), unix.EINVAL, err.Error())
	}
	return nil
}

// unshareable says why a CIBIR listener must serve alone, if it must.
func (r *Request) unshareable() error {
	switch a := r.Addr.Addr(); {
	case r.Proto != rules.UDP:
		return errors.New("the port is not shared: only a UDP port can be")
	case r.Device, !a.Is6(), !a.IsUnspecified():
		return errors.New("the port is not shared: only a listener on [::], on all interfaces, can share one")
	case r.Sockets > steering.MaxSockets:
		return fmt.Errorf("the port is not shared: the listener has %d sockets, and one that shares its port can have %d", r.Sockets, steering.MaxSockets)
	}
	return nil
}

// party describes the asker to the rules.
func (r *Request) party(steering bool) rules.Party {
	p := rules.Party{Kind: rules.Listener, XDP: r.XDP, UID: uint32(unix.Geteuid())}
	if r.ID.Len() != 0 {
		p.Kind, p.ID, p.Encoding, p.Steering = rules.CIBIR, r.ID, r.Encoding, steering
	}
	return p
}

// reservation returns what the administrator has laid down for a port, as it
// concerns this process. Reservations that cannot be read are an error: a port
// must not be taken from its owner because a file is damaged.
func (r *Request) reservation(port uint16) (*rules.Reservation, error) {
	gids := []uint32{uint32(unix.Getegid())}
	more, err := unix.Getgroups()
	if err != nil {
		return nil, kerr.New("getgroups", "", err, "")
	}
	for _, gid := range more {
		gids = append(gids, uint32(gid))
	}
	reservation, err := reserve.For(r.Proto, port, uint32(unix.Geteuid()), gids)
	if err != nil {
		return nil, fmt.Errorf("whether %v port %d is reserved cannot be found out: %w", r.Proto, port, err)
	}
	return reservation, nil
}
