// SPDX-License-Identifier: MIT

package netnstest

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread runs f on an operating system thread that ends afterwards, and
// waits for it. It reports whether f returned: f does not return when it calls
// t.FailNow or t.Skip, which end the goroutine.
//
// The thread ends because its goroutine does without unlocking it. Go cannot
// end the process's first thread, which would keep the namespace, and
// /proc/self would show it; that thread is therefore held back until another
// one has done the work.
func onThread(f func()) (returned bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			returned = onThread(f)
			return
		}
		f()
		returned = true
	}()
	<-done
	return returned
}
