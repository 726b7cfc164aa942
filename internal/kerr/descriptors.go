// SPDX-License-Identifier: MIT

package kerr

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Descriptors returns an error unless the process can open n more descriptors. It is for those whose
// call has been refused by a library that takes any refusal for a lack of the kernel's: with too few left
// that is the likelier reason, and the one to be told first.
func Descriptors(n int) error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for range n {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return New("open", fmt.Sprintf("%d descriptors", n), err, "raise RLIMIT_NOFILE of the process")
		}
		fds = append(fds, fd)
	}
	return nil
}

// First is for the first use of a library that finds out once what the kernel has, and takes it for good that there
// was no descriptor for it: until a use has succeeded, it is not tried with too few.
type First struct{ over atomic.Bool }

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
