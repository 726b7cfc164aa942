// SPDX-License-Identifier: MIT

package killpoint

import "golang.org/x/sys/unix"

// Marks are signals that a thread sends to itself, and that the tracer keeps from it. No
// child of a test uses them for anything else.
const (
	markBegin = unix.Signal(40 + iota)
	markEnd
	markWatch
	markUnwatch
)

// Begin says that system calls are points from here on, those of all threads.
func Begin() { mark(markBegin) }

// End ends what Begin began.
func End() { mark(markEnd) }

// Watch says that from here on each change of what the test watches is a point, made by
// the calling thread, to which the goroutine must be locked.
func Watch() { mark(markWatch) }

// Unwatch ends what Watch began.
func Unwatch() { mark(markUnwatch) }

// mark has no effect in a process that is not traced, but to end it.
func mark(s unix.Signal) { _ = unix.Tgkill(unix.Getpid(), unix.Gettid(), s) }
