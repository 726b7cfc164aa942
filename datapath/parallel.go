// SPDX-License-Identifier: MIT

package datapath

import (
	"runtime"
	"sync"
)

var parallelMu sync.Mutex

// Reserve lets callers threads of the host be inside Go at the same time
// without waiting for each other.
//
// A thread that calls Go needs a scheduler slot (a P) and keeps it for a while
// after it has left, so that its next call is cheap. With as many slots as CPUs,
// the host's other threads would have to wait until the scheduler takes one
// back. A slot costs a few kilobytes, a wait costs microseconds: so there are
// several for each worker. It never lowers the number.
func Reserve(callers int) {
	parallelMu.Lock()
	defer parallelMu.Unlock()
	if want := 4*max(callers, runtime.NumCPU()) + 4; want > runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(want)
	}
}
