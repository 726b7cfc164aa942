// SPDX-License-Identifier: MIT

package hold

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Placeholder keeps everybody off a port that nobody serves: one socket, without
// SO_REUSEPORT, on all addresses. UDP that reaches it is discarded without an
// ICMP error and costs no memory (the kernel counts it as Udp InErrors); TCP is
// answered with a reset.
//
// It makes way for members without a gap, see Options.Placeholder. It must be of
// the same user as they, or who opens them must have CAP_CHOWN.
type Placeholder struct {
	fd    int
	proto rules.Proto
	addr  netip.AddrPort
}

// Place holds a port; with port 0 the kernel chooses one.
//
// Errors: [InUse], and what the kernel said.
func Place(proto rules.Proto, port uint16) (*Placeholder, error) {
	d, members, err := Open(Options{
		Proto: proto, Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), port), Members: 1,
		NewSocket: func() (int, error) { return placeholderSocket(proto) },
	})
	if err != nil {
		return nil, err
	}
	return &Placeholder{fd: members[0], proto: proto, addr: d.Addr()}, nil
}

func placeholderSocket(proto rules.Proto) (int, error) {
	fd, err := plainSocket(proto, unix.AF_INET6)
	if kerr.Errno(err) == unix.EAFNOSUPPORT { // without IPv6, IPv4 is the whole port
		fd, err = plainSocket(proto, unix.AF_INET)
	}
	if err == nil && proto == rules.UDP {
		if err = dropAll(fd); err != nil {
			unix.Close(fd)
		}
	}
	return fd, err
}

// AdoptPlaceholder makes a placeholder of a descriptor that another process, or
// an earlier one, handed over. It takes the descriptor over, and closes it if it
// is anything else than a bound UDP or TCP socket without SO_REUSEPORT.
func AdoptPlaceholder(fd int) (*Placeholder, error) {
	p, err := placeholderOf(fd)
	if err != nil {
		unix.Close(fd)
	}
	return p, err
}

func placeholderOf(fd int) (*Placeholder, error) {
	_, addr, err := shapeOf(fd)
	if err != nil {
		return nil, err
	}
	proto, err := protoOf(fd)
	if err != nil {
		return nil, err
	}
	shares, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	if err != nil {
		return nil, kerr.New("getsockopt", "SO_REUSEPORT", err, "")
	}
	if addr.Port() == 0 || shares != 0 || proto != rules.UDP && proto != rules.TCP {
		return nil, fmt.Errorf("adopt: descriptor %d is no placeholder, but a %s socket at %s with SO_REUSEPORT=%d", fd, proto, addr, shares)
	}
	return &Placeholder{fd: fd, proto: proto, addr: addr}, nil
}

// Addr returns the address that is held.
func (p *Placeholder) Addr() netip.AddrPort { return p.addr }

// FD returns the descriptor, which stays the placeholder's, or -1.
func (p *Placeholder) FD() int { return p.fd }

// Close frees the port, and is idempotent.
func (p *Placeholder) Close() {
	if fd := p.take(); fd >= 0 {
		unix.Close(fd)
	}
}

func (p *Placeholder) take() (fd int) {
	fd, p.fd = p.fd, -1
	return fd
}
