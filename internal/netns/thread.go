// SPDX-License-Identifier: MIT

package netns

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs f on an operating system thread that ends afterwards, so that
// whatever f does to its thread is undone.
//
// The thread ends because its goroutine does without unlocking it. The first
// thread of a process cannot end; it is held back until another one has done
// the work.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f()
	}()
	return <-done
}
