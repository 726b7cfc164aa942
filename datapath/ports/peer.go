// SPDX-License-Identifier: MIT

package ports

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// peer is the other process of a connection, as the kernel knows it: as it was
// when it connected, or began to listen.
type peer struct {
	pid  int
	uid  uint32
	gids []uint32
}

func peerOf(conn *net.UnixConn) (p peer, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return p, err
	}
	if e := raw.Control(func(fd uintptr) { p, err = peerOfSocket(int(fd)) }); e != nil {
		return p, e
	}
	return p, err
}

func peerOfSocket(fd int) (peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return peer{}, kerr.New("getsockopt", "SO_PEERCRED", err, "")
	}
	groups, err := peerGroups(fd)
	return peer{int(cred.Pid), cred.Uid, append(groups, cred.Gid)}, err
}

// peerGroups returns the supplementary groups of the other process.
func peerGroups(fd int) ([]uint32, error) {
	for groups := make([]uint32, 64); ; {
		size := uint32(4 * len(groups)) // in bytes, and what it should have been
		// Safety: both live until the call returns, which writes at most size bytes to groups.
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(unsafe.SliceData(groups))), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno == unix.ERANGE && int(size/4) > len(groups):
			groups = make([]uint32, size/4)
		default:
			return nil, kerr.New("getsockopt", "SO_PEERGROUPS", errno, "needs Linux 4.13")
		}
	}
}
