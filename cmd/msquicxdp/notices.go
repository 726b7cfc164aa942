// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// notices tells when something may have changed in a directory.
//
// A claim that comes writes its text, and one that goes orderly is seen by what
// it removes. That a process was killed is seen by nobody but who looks at its
// locks. The closing of its files would tell, but whoever looks closes them too:
// two who watch would keep each other looking.
type notices struct{ *os.File }

const interesting = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_MOVED_TO

func noticesOf(dir string) (notices, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		// EMFILE, mostly: not of descriptors.
		return notices{}, &kerr.Error{Op: "inotify_init1", Errno: kerr.Errno(err), Hint: "raise the sysctl fs.inotify.max_user_instances"}
	}
	n := notices{os.NewFile(uintptr(fd), "inotify")}
	if _, err := unix.InotifyAddWatch(fd, dir, interesting); err != nil {
		n.Close()
		return notices{}, kerr.New("inotify_add_watch", dir, err, "raise the sysctl fs.inotify.max_user_watches")
	}
	return n, nil
}

// wait returns when something has happened since it was called last, or after a
// time. Close ends it.
func (n notices) wait(most time.Duration) error {
	if err := n.SetReadDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	// What is in it does not matter, and one read takes many.
	_, err := n.Read(make([]byte, 64<<10))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}
