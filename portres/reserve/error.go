// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// CorruptError is a store that does not say reliably what is reserved. It is
// not used, and nothing is guessed from it.
type CorruptError struct {
	Path string
	Line int
	Why  string
}

func corrupt(line int, format string, args ...any) *CorruptError {
	return &CorruptError{Line: line, Why: fmt.Sprintf(format, args...)}
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("reservations %s, line %d: %s; restore the file from a backup, or remove it and reserve again", e.Path, e.Line, e.Why)
}

// withPath puts the path into an error of [decode].
func withPath(err error, path string) error {
	switch e := err.(type) {
	case *CorruptError:
		e.Path = path
	case *VersionError:
		e.Path = path
	}
	return err
}

// VersionError is a store that a later version of this software wrote.
type VersionError struct {
	Path  string
	Found uint32 // the version of its format
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("reservations %s: format version %d, this program knows version %d; use the msquicxdp that wrote it, or a later one",
		e.Path, e.Found, formatVersion)
}

// OverlapError refuses to reserve ports that are reserved. It is EEXIST.
type OverlapError struct {
	Asked Range
	Other Reservation
}

func (e *OverlapError) Error() string {
	return fmt.Sprintf("%v overlaps %v, reserved%s under token %v; release that one first, or choose other ports",
		e.Asked, e.Other.Range, e.Other.called(), e.Other.Token)
}

// Unwrap lets errors.Is compare with an errno.
func (e *OverlapError) Unwrap() error { return unix.EEXIST }

// NotFoundError is a reservation that is not there. It is ENOENT.
type NotFoundError struct {
	Asked string       // the range or the token
	Near  *Reservation // one that overlaps the range without being it, if any
}

func (e *NotFoundError) Error() string {
	if e.Near == nil {
		return fmt.Sprintf("%s is not reserved; 'msquicxdp ports reservations' shows what is", e.Asked)
	}
	return fmt.Sprintf("%s is not a reservation, but has ports of %v, reserved%s under token %v; name exactly that range, or the token",
		e.Asked, e.Near.Range, e.Near.called(), e.Near.Token)
}

// Unwrap lets errors.Is compare with an errno.
func (e *NotFoundError) Unwrap() error { return unix.ENOENT }
