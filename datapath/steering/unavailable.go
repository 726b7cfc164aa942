// SPDX-License-Identifier: MIT

package steering

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// ErrUnavailable is what [Create] fails with, by errors.Is, where steering cannot
// be had: see [UnavailableError].
var ErrUnavailable = errors.New("steering by BPF cannot be had")

// UnavailableError says what steering lacks. It is [ErrUnavailable].
type UnavailableError struct {
	Need string // what would have to be so
	Err  error  // what the kernel refused
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("steering by a BPF program (SK_REUSEPORT) cannot be had: %v; it needs %s", e.Err, e.Need)
}

// Unwrap lets errors.Is compare with the errno.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Is lets errors.Is compare with [ErrUnavailable].
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// More descriptors than it takes to load the program and its maps, and to look at those of others.
const (
	making   = 32
	adopting = 4
)

// The first of each in the process, see [kerr.First].
var creation, adoption kerr.First

// refused tells a kernel that does not allow or does not know what was asked
// from one that has run out of something.
func refused(err error) error {
	var rejected *ebpf.VerifierError
	if errors.Is(err, ebpf.ErrNotSupported) {
		if few := kerr.Descriptors(making); few != nil {
			return fmt.Errorf("%w: %w", few, err)
		}
	}
	switch {
	case errors.Is(err, unix.EPERM):
		return &UnavailableError{"the capability CAP_BPF, or CAP_SYS_ADMIN before Linux 5.8", err}
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, ebpf.ErrNotSupported), errors.As(err, &rejected):
		return &UnavailableError{"Linux 5.2 or newer with CONFIG_BPF_SYSCALL and CONFIG_INET", err}
	}
	return fmt.Errorf("steering: create: %w", err)
}
