// SPDX-License-Identifier: MIT

package route

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Error is an operation that failed: what was asked of the kernel, what it
// answered, and what to look at. It wraps the answer.
type Error struct {
	Op   string // "get route", "list addresses"
	Args string // "10.0.0.1, interface 3", or empty
	Err  error  // a syscall.Errno, perhaps with the kernel's own words
	Hint string // what to change, or empty
}

// Errno returns the kernel's error number, or 0 when the failure has none.
func (e *Error) Errno() syscall.Errno {
	var errno syscall.Errno
	errors.As(e.Err, &errno)
	return errno
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) Error() string {
	s := fmt.Sprintf("%s(%s): %v", e.Op, e.Args, e.Err)
	if errno := e.Errno(); errno != 0 {
		s += fmt.Sprintf(" (%s, errno %d)", unix.ErrnoName(errno), int(errno))
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}
