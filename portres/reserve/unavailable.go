// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ErrUnavailable is what [Store.Apply] fails with, by errors.Is, where
// reservations cannot be enforced: see [UnavailableError].
var ErrUnavailable = errors.New("enforcement of reservations cannot be had")

// UnavailableError says what enforcement lacks. It is [ErrUnavailable].
type UnavailableError struct {
	Need string // what would have to be so
	Err  error  // what the kernel refused
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("enforcement of reservations (cgroup bind programs) cannot be had: %v; it needs %s", e.Err, e.Need)
}

// Unwrap lets errors.Is compare with the errno.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Is lets errors.Is compare with [ErrUnavailable].
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// unavailable tells a kernel that does not allow or does not know what was
// asked from one that has run out of something.
func unavailable(op string, err error) error {
	err = fmt.Errorf("%s: %w", op, err)
	var rejected *ebpf.VerifierError
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return &UnavailableError{"root, or CAP_BPF and CAP_NET_ADMIN", err}
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, ebpf.ErrNotSupported), errors.As(err, &rejected):
		return &UnavailableError{"Linux 5.18 or newer with CONFIG_CGROUP_BPF", err}
	}
	return err
}
