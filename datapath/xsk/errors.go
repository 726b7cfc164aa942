// SPDX-License-Identifier: MIT

package xsk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// What [Create] and [Join] fail with, by errors.Is. The errno is in the error too.
var (
	ErrBusy       = errors.New("the queue has a UMEM of somebody else's, or of sockets just closed")
	ErrPermission = errors.New("AF_XDP sockets are not allowed here")
	ErrNoQueue    = errors.New("the interface has no such queue")
)

// UnsupportedError says what the kernel or the driver cannot do.
type UnsupportedError struct {
	Feature string
	Kernel  string // the first version that has it; empty where it depends on the driver
	Err     error  // what the kernel refused; nil where it did not need to
}

// Error implements error.
func (e *UnsupportedError) Error() string {
	s := "xsk: no " + e.Feature
	if e.Kernel != "" {
		s += ", which takes Linux " + e.Kernel + " or newer"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap lets errors.Is compare with the errno.
func (e *UnsupportedError) Unwrap() error { return e.Err }

// openError explains why there is no AF_XDP socket.
func openError(err error) error {
	call := kerr.New("socket", "AF_XDP", err, openHint(err))
	switch err {
	case unix.EPERM, unix.EACCES:
		return fmt.Errorf("%w: %w", ErrPermission, call)
	case unix.EAFNOSUPPORT, unix.ESOCKTNOSUPPORT:
		return &UnsupportedError{Feature: "AF_XDP", Kernel: "5.4, with CONFIG_XDP_SOCKETS,", Err: call}
	}
	return call
}

func openHint(err error) string {
	if err == unix.EPERM {
		return "it takes CAP_NET_RAW in the user namespace of the network namespace"
	}
	return ""
}

// bindError explains why a queue is not to be had.
func bindError(c *Config, flags uint16, err error) error {
	call := kerr.New("bind", fmt.Sprintf("AF_XDP to %s, flags %#x", c, flags), err, bindHint(flags, err))
	switch {
	case err == unix.EBUSY:
		return fmt.Errorf("%w: %w", ErrBusy, call)
	case err == unix.EOPNOTSUPP && flags&unix.XDP_ZEROCOPY != 0:
		return &UnsupportedError{Feature: "AF_XDP zero-copy in the driver of " + c.String(), Err: call}
	case err == unix.EOPNOTSUPP:
		return &UnsupportedError{Feature: "AF_XDP in the driver of " + c.String(), Err: call}
	case err == unix.EINVAL, err == unix.ENODEV:
		return fmt.Errorf("%w: %w", ErrNoQueue, call)
	}
	return call
}

func bindHint(flags uint16, err error) string {
	switch {
	case flags&unix.XDP_SHARED_UMEM != 0 && err != unix.EBUSY:
		return "the donor must be an AF_XDP socket that is bound to the same queue"
	case err == unix.EBUSY:
		return "join the queue's sockets, or wait until they are gone"
	case err == unix.EINVAL:
		return "queues count from 0 (ethtool -l)"
	}
	return ""
}

func umemHint(err unix.Errno) string {
	switch err {
	case unix.ENOBUFS, unix.ENOMEM:
		return "raise the memory lock limit (RLIMIT_MEMLOCK), or use fewer chunks"
	case unix.EINVAL:
		return "memory must be page-aligned, and chunks of 2048 bytes or of a page"
	}
	return ""
}

func mmapHint(err error) string {
	if err == unix.EINVAL {
		return "the ring has another size, or the socket is not bound"
	}
	return ""
}
