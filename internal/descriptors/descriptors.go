// SPDX-License-Identifier: MIT

// Package descriptors handles file descriptors that are numbers, as processes hand them to each
// other over unix sockets.
package descriptors

import "golang.org/x/sys/unix"

// CloseAll closes descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// Duplicate copies descriptors, all or none. The copies are closed on exec.
func Duplicate(fds []int) ([]int, error) {
	var copies []int
	for _, fd := range fds {
		c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			CloseAll(copies)
			return nil, err
		}
		copies = append(copies, c)
	}
	return copies, nil
}

// OfRights returns the descriptors that came with a message (SCM_RIGHTS), given its control
// messages. [net.UnixConn.ReadMsgUnix] asks the kernel to close them on exec.
func OfRights(control []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if got, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}
