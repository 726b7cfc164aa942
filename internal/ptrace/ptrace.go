// SPDX-License-Identifier: MIT

// Package ptrace has of ptrace(2) what package unix lacks, for tests that stop processes at
// system calls. The calling thread is the tracer.
package ptrace

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Request makes a request about a thread.
func Request(request, thread int, addr, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(thread), addr, data, 0, 0)
	if errno != 0 {
		return fmt.Errorf("ptrace(%#x, %d): %w", request, thread, errno)
	}
	return nil
}

// Call is a system call.
type Call struct {
	Number uint64
	Args   [6]uint64
}

// CallOf returns the call that a thread begins at whose stop it is; nil where it ends one.
func CallOf(thread int) (*Call, error) {
	const (
		getSyscallInfo = 0x420e // PTRACE_GET_SYSCALL_INFO
		entry          = 1      // PTRACE_SYSCALL_INFO_ENTRY
	)
	var info struct { // struct ptrace_syscall_info
		op   uint8
		_    [3]uint8
		_    uint32
		_    [2]uint64
		call Call
		_    [2]uint64
	}
	// Safety: the kernel writes at most as many bytes as it is told, into info.
	if err := Request(getSyscallInfo, thread, unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info))); err != nil {
		return nil, err
	}
	if info.op != entry {
		return nil, nil
	}
	return &info.call, nil
}
