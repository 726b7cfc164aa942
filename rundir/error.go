// SPDX-License-Identifier: MIT

package rundir

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// UnavailableError says why a state directory, or a file in it, cannot be used.
type UnavailableError struct {
	Path string // the part of the path that is at fault
	Err  error  // what is wrong with it; wraps the errno where the kernel refused
	Hint string // what to do
}

// Error implements error.
func (e *UnavailableError) Error() string {
	s := "state in " + e.Path + ": " + e.Err.Error()
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns what is wrong.
func (e *UnavailableError) Unwrap() error { return e.Err }

const (
	hintOwn      = "name a directory of your own, by " + Env + " or in the call"
	hintMayNot   = "run as root, or let root share it with your group (install -d -m 2775 -g GROUP), or " + hintOwn
	hintRealPath = "neither may a symbolic link be on the path nor anything else that is no directory: give the real path"
)

// refusedBy words the kernel's refusal to do something with a path.
func refusedBy(op, path string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EROFS):
		hint = hintMayNot
	case errors.Is(err, unix.ENOENT):
		hint = "make it, or " + hintOwn
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		hint = hintRealPath
	}
	return &UnavailableError{Path: path, Err: kerr.New(op, path, err, ""), Hint: hint}
}
