// SPDX-License-Identifier: MIT

package portres

import (
	"errors"
	"os"
	"time"
)

// doorAt is the byte that the claim at the door has, as its one writer. It lies
// beside the gate: what happens at the door takes longer than a claim may wait,
// and one who is stopped there must not keep others from their claims.
const doorAt = int64(1) << 41

// The kernel ends a wait for a lock only by giving the lock, so AtDoor looks
// again and again, in growing distances.
const (
	firstPause = time.Millisecond / 2
	lastPause  = 8 * time.Millisecond
)

// AtDoor runs f while no other claim on the port, of this process or another,
// does so: those who share a port open it, and let each other in, one at a time.
// It reports whether f ran; f does not where others are there for as long as the
// patience lasts, as one is that is stopped. One that dies makes room at once.
//
// f must not call methods of c that change it, Release above all. Errors are
// those of f and of the lock, and os.ErrClosed after Release.
func (c *Claim) AtDoor(patience time.Duration, f func() error) (ran bool, err error) {
	c.mu.Lock() // the lock does not tell threads of one claim apart
	defer c.mu.Unlock()
	if c.file.File == nil {
		return false, os.ErrClosed
	}
	deadline := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		ok, err := c.file.TryLock(doorAt, 1)
		if err != nil {
			return false, err
		}
		if ok {
			break
		}
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		time.Sleep(min(pause, left))
	}
	defer func() { err = errors.Join(err, c.file.Unlock(doorAt, 1)) }()
	return true, f()
}
