// SPDX-License-Identifier: MIT

package killpoint

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/ptrace"
)

// call is a system call as the tracer sees it.
type call ptrace.Call

// names are the calls that change what other processes see.
var names = map[uint64]string{
	unix.SYS_ACCEPT4:    "accept4",
	unix.SYS_BIND:       "bind",
	unix.SYS_BPF:        "bpf",
	unix.SYS_CLOSE:      "close",
	unix.SYS_CONNECT:    "connect",
	unix.SYS_FCHMOD:     "fchmod",
	unix.SYS_FCHMODAT:   "fchmodat",
	unix.SYS_FCHOWN:     "fchown",
	unix.SYS_FCHOWNAT:   "fchownat",
	unix.SYS_FCNTL:      "fcntl",
	unix.SYS_FTRUNCATE:  "ftruncate",
	unix.SYS_LINKAT:     "linkat",
	unix.SYS_LISTEN:     "listen",
	unix.SYS_MEMBARRIER: "membarrier",
	unix.SYS_MKDIRAT:    "mkdirat",
	unix.SYS_MMAP:       "mmap",
	unix.SYS_MUNMAP:     "munmap",
	unix.SYS_OPENAT:     "openat",
	unix.SYS_PWRITE64:   "pwrite64",
	unix.SYS_RECVMSG:    "recvmsg",
	unix.SYS_RENAMEAT:   "renameat",
	unix.SYS_SENDMSG:    "sendmsg",
	unix.SYS_SENDTO:     "sendto",
	unix.SYS_SETSOCKOPT: "setsockopt",
	unix.SYS_SOCKET:     "socket",
	unix.SYS_UNLINKAT:   "unlinkat",
	unix.SYS_WRITE:      "write",
}

// matters reports whether the call changes what other processes see.
func (c *call) matters() bool {
	switch c.Number {
	case unix.SYS_FCNTL:
		switch c.Args[1] {
		case unix.F_OFD_SETLK, unix.F_SETLK, unix.F_ADD_SEALS:
			return true
		}
		return false
	case unix.SYS_MMAP:
		return c.Args[3]&unix.MAP_SHARED != 0
	case unix.SYS_WRITE:
		return c.Args[2] != 8 || c.Args[0] <= 2 // the Go runtime wakes its threads by 8 bytes
	}
	_, ok := names[c.Number]
	return ok
}

func (c *call) String() string {
	name, ok := names[c.Number]
	if !ok {
		return fmt.Sprintf("call %d", c.Number)
	}
	if c.Number == unix.SYS_BPF || c.Number == unix.SYS_FCNTL {
		return fmt.Sprintf("%s(%d)", name, c.Args[map[bool]int{true: 0, false: 1}[c.Number == unix.SYS_BPF]])
	}
	return name
}
