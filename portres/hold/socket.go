// SPDX-License-Identifier: MIT

package hold

import (
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// plainSocket makes a socket of a protocol, for both versions where the family is AF_INET6.
func plainSocket(proto rules.Proto, family int) (int, error) {
	kind := unix.SOCK_DGRAM
	if proto == rules.TCP {
		kind = unix.SOCK_STREAM
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, kerr.New("socket", fmt.Sprintf("%s, address family %d", proto, family), err, "raise the limit of open files (ulimit -n) if it is reached")
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			unix.Close(fd)
			return -1, kerr.New("setsockopt", "IPV6_V6ONLY=0", err, "")
		}
	}
	return fd, nil
}

func setOption(fd, option int, name string, value int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, value)
	return kerr.New("setsockopt", name+"="+strconv.Itoa(value), err, "")
}

func setReusePort(fd, value int) error {
	return setOption(fd, unix.SO_REUSEPORT, "SO_REUSEPORT", value)
}

// bind binds a socket to an address, which it writes in the socket's family.
func bind(fd int, to netip.AddrPort) error {
	sa, err := sockaddr(fd, to)
	if err != nil {
		return err
	}
	return kerr.New("bind", to.String(), unix.Bind(fd, sa), "")
}

func sockaddr(fd int, to netip.AddrPort) (unix.Sockaddr, error) {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, kerr.New("getsockopt", "SO_DOMAIN", err, "")
	}
	ip := to.Addr()
	switch {
	case family == unix.AF_INET6:
		scope, err := strconv.ParseUint("0"+ip.Zone(), 10, 32)
		if err != nil {
			return nil, kerr.New("bind", to.String(), unix.EINVAL, "give the zone as the number of an interface")
		}
		return &unix.SockaddrInet6{Port: int(to.Port()), Addr: ip.As16(), ZoneId: uint32(scope)}, nil
	case family == unix.AF_INET && ip == netip.IPv6Unspecified():
		return &unix.SockaddrInet4{Port: int(to.Port())}, nil
	case family == unix.AF_INET && ip.Unmap().Is4():
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: ip.Unmap().As4()}, nil
	}
	return nil, kerr.New("bind", to.String(), unix.EAFNOSUPPORT, fmt.Sprintf("the socket is of address family %d", family))
}

// cookieOf returns the number by which sock_diag knows a socket.
func cookieOf(fd int) (uint64, error) {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	return cookie, kerr.New("getsockopt", "SO_COOKIE", err, "")
}
