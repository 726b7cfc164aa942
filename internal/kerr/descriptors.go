// SPDX-License-Identifier: MIT

package kerr

import (
	"fmt"

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
