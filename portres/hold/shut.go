// SPDX-License-Identifier: MIT

package hold

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/sockdiag"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// shut closes the port behind the members, looks whether somebody slipped in who
// was not there before, and proves the tier.
func (d *Door) shut(before []sockdiag.Socket) error {
	if d.guarded {
		if err := setReusePort(d.guard, 0); err != nil {
			return err
		}
	}
	looked := true
	if !d.owned && !d.sole {
		entered, err := d.entered(before)
		if len(entered) > 0 {
			refusal := d.inUse(entered)
			refusal.Entered = true
			return refusal
		}
		looked = err == nil
	}
	var err error
	if d.tier, err = d.prove(); err != nil {
		return err
	}
	if d.tier == rules.Unguarded {
		d.dropGuard()
	}
	if !looked {
		d.tier = rules.Unguarded
	}
	return nil
}

// prove returns the tier that the port is in.
func (d *Door) prove() (rules.Tier, error) {
	switch {
	case d.o.Proto == rules.TCP && !d.shape.whole():
		return rules.Unguarded, nil // by the kernel's cache, which a probe cannot be sure to meet
	case d.sole:
		return rules.Owned, nil
	case !d.owned && !d.guarded:
		return rules.Unguarded, nil
	}
	for _, p := range d.probes() {
		if in, err := p.getsIn(); in || err != nil {
			return rules.Unguarded, err
		}
	}
	if d.owned {
		return rules.Owned, nil
	}
	return rules.Guarded, nil
}

// probe is a socket that a stranger of this user could open.
type probe struct {
	open   func() (int, error)
	to     netip.AddrPort
	device int // to bind it to, if not 0
}

// plain returns a function that makes a stranger's socket.
func (d *Door) plain(family int) func() (int, error) {
	return func() (int, error) { return plainSocket(d.o.Proto, family) }
}

// probes returns strangers that nothing but the tier in question keeps out.
func (d *Door) probes() []probe {
	port := d.o.Addr.Port()
	wildcard := []probe{{open: d.plain(unix.AF_INET6), to: netip.AddrPortFrom(netip.IPv6Unspecified(), port)}}
	if d.shape.v4.IsValid() {
		wildcard = append(wildcard, probe{open: d.plain(unix.AF_INET), to: netip.AddrPortFrom(netip.IPv4Unspecified(), port)})
	}
	list := append([]probe{{open: d.o.NewSocket, to: d.o.Addr}}, wildcard...)
	if d.owned && d.shape.device == 0 {
		for _, p := range wildcard {
			p.device = noInterface
			list = append(list, p)
		}
	}
	return list
}

// getsIn reports whether the kernel lets the probe in. A stranger without such a
// socket does not get in either. The probe leaves at once; it was the last of its
// group, so no other changes its place.
func (p probe) getsIn() (bool, error) {
	fd, err := p.open()
	if err != nil {
		return false, ignore(err, unix.EAFNOSUPPORT)
	}
	defer unix.Close(fd)
	if err := setReusePort(fd, 1); err != nil {
		return false, err
	}
	if p.device != 0 {
		err := setOption(fd, unix.SO_BINDTOIFINDEX, "SO_BINDTOIFINDEX", p.device)
		if err != nil {
			return false, ignore(err, unix.EPERM) // before Linux 5.7 it takes CAP_NET_RAW, from strangers too
		}
	}
	err = bind(fd, p.to)
	return err == nil, ignore(err, unix.EADDRINUSE)
}

func ignore(err error, errno unix.Errno) error {
	if errors.Is(err, errno) {
		return nil
	}
	return err
}
