// SPDX-License-Identifier: MIT

package hold

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/internal/sockdiag"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// shape is what a bound socket takes up of its port.
type shape struct {
	v4, v6 netip.Addr // local addresses: unspecified is all of them, invalid none
	device uint32     // the interface that it is bound to, or 0
}

// shapeOf asks a bound socket.
func shapeOf(fd int) (s shape, local netip.AddrPort, err error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return s, local, kerr.New("getsockname", "", err, "")
	}
	device, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	if err != nil {
		return s, local, kerr.New("getsockopt", "SO_BINDTOIFINDEX", err, "needs Linux 5.1")
	}
	v6only := 0
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		local = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		local = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
		if v6only, err = unix.GetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY); err != nil {
			return s, local, kerr.New("getsockopt", "IPV6_V6ONLY", err, "")
		}
	default:
		return s, local, kerr.New("getsockname", "", unix.EAFNOSUPPORT, "use an IPv4 or an IPv6 socket")
	}
	return newShape(local.Addr(), v6only != 0, uint32(device)), local, nil
}

func shapeOfFound(s sockdiag.Socket) shape {
	return newShape(s.Local.Addr(), s.V6Only, s.Device)
}

func newShape(local netip.Addr, v6only bool, device uint32) shape {
	s := shape{device: device}
	switch {
	case local.Unmap().Is4():
		s.v4 = local.Unmap()
	case local.IsUnspecified() && !v6only:
		s.v4, s.v6 = netip.IPv4Unspecified(), local
	default:
		s.v6 = local
	}
	return s
}

// protoOf returns the protocol of a socket.
func protoOf(fd int) (rules.Proto, error) {
	proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return rules.Proto(proto), kerr.New("getsockopt", "SO_PROTOCOL", err, "")
}

// whole says that the socket leaves nothing of its port to anybody.
func (s shape) whole() bool {
	return s.v4.IsUnspecified() && s.v6.IsUnspecified() && s.device == 0
}

// overlaps says that some datagram would be for both.
func (s shape) overlaps(t shape) bool {
	sameDevice := s.device == 0 || t.device == 0 || s.device == t.device
	return sameDevice && (meet(s.v4, t.v4) || meet(s.v6, t.v6))
}

func meet(a, b netip.Addr) bool {
	return a.IsValid() && b.IsValid() && (a == b || a.IsUnspecified() || b.IsUnspecified())
}
