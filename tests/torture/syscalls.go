// SPDX-License-Identifier: MIT

package torture

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The words that the kernel tells of a socket's memory, see linux/sock_diag.h.
const (
	memoryWords   = 9
	memoryDropped = 8 // SK_MEMINFO_DROPS
)

// dropsOf returns how many datagrams a socket had no room for.
func dropsOf(fd int) (uint32, error) {
	var words [memoryWords]uint32
	size := uint32(unsafe.Sizeof(words))
	// Safety: the kernel writes at most size bytes.
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&words)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, os.NewSyscallError("getsockopt(SO_MEMINFO)", errno)
	}
	return words[memoryDropped], nil
}

// limitDescriptors sets how many a process may have open. What is open stays so.
func limitDescriptors(pid int, most uint64) error {
	limit := unix.Rlimit{Cur: most, Max: maxDescriptors}
	return os.NewSyscallError("prlimit(RLIMIT_NOFILE)", unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil))
}

const maxDescriptors = 4096

// reap takes notice of the end of a child of a dead child, which is ours as the first process
// of the PID namespace.
func reap(pid int) (gone bool) {
	var status syscall.WaitStatus
	got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
	return got == pid || err == syscall.ECHILD && !exists(pid)
}

func exists(pid int) bool { return syscall.Kill(pid, 0) == nil }
