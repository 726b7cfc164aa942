// SPDX-License-Identifier: MIT

package ossock

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// The wrappers below exist because package unix speaks its own Sockaddr types,
// which allocate, and because the hot path wants raw calls, without the frames
// that package unix puts around them. Errors are errnos.

func errnoErr(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func bind(fd int, a *batch.Addr) error {
	p, n := a.Sockaddr()
	_, _, e := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(p), uintptr(n))
	return errnoErr(e)
}

func connect(fd int, a *batch.Addr) error {
	p, n := a.Sockaddr()
	_, _, e := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(p), uintptr(n))
	return errnoErr(e)
}

func sockname(fd int) (a batch.Addr, err error) {
	n := uint32(unsafe.Sizeof(a))
	_, _, e := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&n)))
	return a, errnoErr(e)
}

// hasPeer reports whether a TCP socket is connected, or was until a moment ago.
func hasPeer(fd int32) bool {
	var peer batch.Addr
	n := uint32(unsafe.Sizeof(peer))
	_, _, e := unix.RawSyscall(unix.SYS_GETPEERNAME, uintptr(fd), uintptr(unsafe.Pointer(&peer)), uintptr(unsafe.Pointer(&n)))
	return e != unix.ENOTCONN
}

func accept(fd int) (conn int, peer batch.Addr, err unix.Errno) {
	n := uint32(unsafe.Sizeof(peer))
	r, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&peer)),
		uintptr(unsafe.Pointer(&n)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(r), peer, e
}

// recvmmsg returns how many messages arrived.
func recvmmsg(fd int32, m []batch.Message) (int, unix.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

func sendmsg(fd int32, h *unix.Msghdr) unix.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(h)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0, 0)
	return e
}

func sendStream(fd int32, b []byte) (int, unix.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

func read(fd int32, b []byte) (int, unix.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), e
}

// socketError fetches and clears the pending error of a socket.
func socketError(fd int32) unix.Errno {
	v, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err.(unix.Errno)
	}
	return unix.Errno(v)
}
