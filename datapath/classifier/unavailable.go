// SPDX-License-Identifier: MIT

package classifier

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// ErrUnavailable is what [Load] fails with, by errors.Is, where XDP cannot be had:
// see [UnavailableError].
var ErrUnavailable = errors.New("classification by XDP cannot be had")

// UnavailableError says what XDP lacks. It is [ErrUnavailable].
type UnavailableError struct {
	Need string // what would have to be so
	Err  error  // what the kernel refused
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("classification by an XDP program cannot be had: %v; it needs %s", e.Err, e.Need)
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
var loading, adoption kerr.First

// refused tells a kernel that does not allow or does not know what was asked
// from one that has run out of something. To compute where in a packet to read takes
// CAP_PERFMON: without it the kernel refuses the program with EACCES.
func refused(err error) error {
	var rejected *ebpf.VerifierError
	if errors.Is(err, ebpf.ErrNotSupported) {
		if few := kerr.Descriptors(making); few != nil {
			return fmt.Errorf("%w: %w", few, err)
		}
	}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return &UnavailableError{"the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, or CAP_SYS_ADMIN", err}
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, ebpf.ErrNotSupported), errors.As(err, &rejected):
		return &UnavailableError{"Linux 5.18 or newer with CONFIG_BPF_SYSCALL and CONFIG_XDP_SOCKETS", err}
	}
	return fmt.Errorf("classifier: load: %w", err)
}
