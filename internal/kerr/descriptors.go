// SPDX-License-Identifier: MIT

package kerr

import (
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
)

// Descriptors returns an error unless the process can open n more descriptors. It is for those whose
// call has been refused by a library that takes any refusal for a lack of the kernel's: with too few left
// that is the likelier reason, and the one to be told first.
func Descriptors(n int) error {
	var fds []int
	defer func() { descriptors.CloseAll(fds) }()
	for range n {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return New("open", fmt.Sprintf("%d descriptors", n), err, "")
		}
		fds = append(fds, fd)
	}
	return nil
}

// First is for the first use of a library that finds out once what the kernel has, and takes it for good that there
// was no descriptor for it: until a use has succeeded, it is not tried with too few.
type First struct{ over atomic.Bool }

// Adopt is Do for a use that takes descriptors, and closes them when it fails: they are closed also where it is not called.
func (f *First) Adopt(n int, fds []int, use func() error) error {
	taken := false
	err := f.Do(n, func() error {
		taken = true
		return use()
	})
	if !taken {
		distinct := slices.Compact(slices.Sorted(slices.Values(fds))) // liars name one twice
		descriptors.CloseAll(distinct)
	}
	return err
}

// Do calls use, where that has succeeded before or n descriptors can be opened.
func (f *First) Do(n int, use func() error) error {
	if !f.over.Load() {
		if err := Descriptors(n); err != nil {
			return err
		}
	}
	err := use()
	if err == nil {
		f.over.Store(true)
	}
	return err
}
