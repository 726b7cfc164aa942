// SPDX-License-Identifier: MIT

package main

import "C"

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// mqxGoHello returns when the runtime is up. Its first timer makes it open the
// two descriptors of its network poller now, when C has seen that there is room:
// later it would end the process if the host had none left.
//
// slack is the timer slack of the program's threads, in nanoseconds; see start_go.
//
//export mqxGoHello
func mqxGoHello(slack C.ulong) {
	defer stay()()
	sharpenTimers(uintptr(slack)) // as long as no thread is in the poller
	time.AfterFunc(time.Hour, func() {}).Stop()
}

// sharpThreads are more than are at work at a time, as a rule.
const sharpThreads = 4

// sharpenTimers gives the calling thread and the runtime's first a usual timer slack: so many
// goroutines at a time are each on a thread of its own. What runs no goroutines cannot be reached: the
// monitor, which is not to be, and the thread that makes others. Those have its slack, but the
// runtime takes them only when all of ours are busy, since the latest to become idle are first.
func sharpenTimers(slack uintptr) {
	sharpen := func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, slack, 0, 0, 0) }
	sharpen()
	var here, done sync.WaitGroup
	here.Add(sharpThreads)
	for range sharpThreads {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			sharpen()
			here.Done()
			here.Wait()
		})
	}
	done.Wait()
}
