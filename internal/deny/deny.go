// SPDX-License-Identifier: MIT

// Package deny takes system calls away from a test's process, so that it finds itself on a
// kernel that lacks a feature, or in a container that forbids it.
package deny

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call is a system call that is to fail.
type Call struct {
	Number uintptr
	Errno  unix.Errno
	Args   map[int]uint32 // the low halves of arguments that it must have; nil: any
}

// Offsets in struct seccomp_data.
const (
	numberAt = 0
	argsAt   = 16
)

// Install lets these calls fail, in all threads of the process and its children, for ever.
func Install(calls ...Call) error {
	program := filter(calls)
	f := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl(PR_SET_NO_NEW_PRIVS): %w", err)
	}
	// Safety: the kernel copies the program before the call returns.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&f)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// filter is a program that looks for one call after the other.
func filter(calls []Call) (program []unix.SockFilter) {
	load := func(at int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: uint32(at)}
	}
	answer := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
	}
	for _, c := range calls {
		rest := 2*len(c.Args) + 1 // instructions behind the first comparison
		equal := func(k uint32) unix.SockFilter {
			return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: uint8(rest), K: k}
		}
		program = append(program, load(numberAt), equal(uint32(c.Number)))
		for i, want := range c.Args {
			rest -= 2
			program = append(program, load(argsAt+8*i), equal(want))
		}
		program = append(program, answer(unix.SECCOMP_RET_ERRNO|uint32(c.Errno)))
	}
	return append(program, answer(unix.SECCOMP_RET_ALLOW))
}
