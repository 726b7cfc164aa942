// SPDX-License-Identifier: MIT

// Package kerr words the errors of system calls.
//
// Every refusal of the kernel that leaves this project says which operation
// failed, on what, with which errno, and what a person can do about it.
package kerr

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Error is a system call that failed.
type Error struct {
	Op    string     // the operation, as its man page names it
	Args  string     // what it was applied to
	Errno unix.Errno // why the kernel refused
	Hint  string     // what to change; empty where nothing useful is known
}

// moreDescriptors is what to do about EMFILE, which nearly all calls return for one reason.
const moreDescriptors = "raise RLIMIT_NOFILE of the process (ulimit -n)"

// New makes an [Error] from what a wrapper of package unix returned, or returns
// nil when err is nil. An err that is no errno becomes EIO. Of EMFILE the hint is to allow more
// descriptors; a call that returns it for another reason makes its Error itself.
func New(op, args string, err error, hint string) error {
	if err == nil {
		return nil
	}
	errno := Errno(err)
	if errno == unix.EMFILE {
		hint = moreDescriptors
	}
	return &Error{Op: op, Args: args, Errno: errno, Hint: hint}
}

// Error implements error.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s(%s): %s (errno %d)", e.Op, e.Args, e.Errno.Error(), int(e.Errno))
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap lets errors.Is compare with an errno.
func (e *Error) Unwrap() error { return e.Errno }

// Errno returns the errno inside err, EIO when there is none, 0 for nil.
func Errno(err error) unix.Errno {
	if err == nil {
		return 0
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}
