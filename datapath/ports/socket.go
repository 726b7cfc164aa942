// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// newMember makes a socket that hears nothing until its process publishes it.
func (l *Lease) newMember() (int, error) {
	fd, err := l.request.New()
	if err != nil {
		return -1, err
	}
	if err = l.checkNamespace(fd); err == nil {
		err = deaf(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// checkNamespace refuses a socket of another network namespace, such as one that
// was made on a thread that is elsewhere.
func (l *Lease) checkNamespace(fd int) error {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err == nil && cookie != l.state.Namespace().Cookie {
		return errors.New("the socket is in another network namespace than the port")
	}
	return kerr.New("getsockopt", "SO_NETNS_COOKIE", err, "needs Linux 5.14")
}

// deaf lets a socket drop whatever comes, from before it is bound until the
// steering decides what comes: a datagram must not reach it by the kernel's hash.
func deaf(fd int) error {
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	return kerr.New("setsockopt", "SO_ATTACH_FILTER", err, "")
}

// hear ends that. A socket that another process has handed over may hear already.
func hear(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	if err == unix.ENOENT {
		err = nil
	}
	return kerr.New("setsockopt", "SO_DETACH_FILTER", err, "")
}

// checkMember refuses a descriptor that is anything else than a socket of the port.
func (l *Lease) checkMember(fd int) error {
	proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return kerr.New("getsockopt", "SO_PROTOCOL", err, "")
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return kerr.New("getsockname", "", err, "")
	}
	in6, ok := local.(*unix.SockaddrInet6)
	if !ok || in6.Port != int(l.request.Addr.Port()) || in6.Addr != l.request.Addr.Addr().As16() || rules.Proto(proto) != l.request.Proto {
		return fmt.Errorf("it hands over a %v socket bound to %+v, where one of the port is due", rules.Proto(proto), local)
	}
	return l.checkNamespace(fd)
}
