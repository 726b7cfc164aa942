// SPDX-License-Identifier: MIT

package pool

import "time"

// How long to wait for others, all of whom need some milliseconds unless they are stopped.
// Tests have less patience.
var (
	// doorPatience is for who is at a door.
	doorPatience = 5 * time.Second

	// queuePatience is for who leaves a pool, comes to it, or cleans up after the dead.
	queuePatience = time.Second

	// answerPatience is for who is asked, and reads.
	answerPatience = time.Second
)

const (
	// releasePatience is for the kernel, which releases a queue some time after its last
	// socket is closed.
	releasePatience = time.Second

	// tellPatience is for telling what the other can do without.
	tellPatience = 10 * time.Millisecond

	// fullPatience is for a pool without a free seat: somebody may have died, and be cleaned up after
	// by another, before we have heard of it.
	fullPatience = 50 * time.Millisecond

	// interval is when to try again where there is no event to wait for.
	interval = time.Millisecond
)

// until calls f until it is done or fails. When the patience is at an end it returns a
// SilentError about what it is that nobody does.
func until(patience time.Duration, what string, f func() (done bool, err error)) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(interval) {
		if done, err := f(); done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return &SilentError{What: what}
		}
	}
}
