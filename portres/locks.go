// SPDX-License-Identifier: MIT

package portres

import (
	"fmt"
	"math"
	"slices"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// portFile is the file of one port. What it says of locks is about those of
// other open files.
type portFile struct {
	*rundir.File
}

// holding returns what the claim byte of any holder says. Those of all holders
// differ at most in the user.
func (f portFile) holding() (h holding, held bool, err error) {
	lock, held, err := f.Held(claimAt, claimBytes, true)
	if err != nil || !held {
		return holding{}, false, err
	}
	return holdingAt(lock.Start, lock.Exclusive), true, nil
}

// otherUser returns a user who holds the port like h does, but is not h's.
func (f portFile) otherUser(h holding) (uid uint32, held bool, err error) {
	first, last := h, h
	first.uid, last.uid = 0, math.MaxUint32
	own := h.claimByte()
	at, held, err := f.anyHeld(first.claimByte(), own-first.claimByte())
	if err == nil && !held {
		at, held, err = f.anyHeld(own+1, last.claimByte()-own)
	}
	return uint32(at), held, err
}

// isHeld reports whether others have locked a byte.
func (f portFile) isHeld(at int64) (bool, error) {
	_, held, err := f.anyHeld(at, 1)
	return held, err
}

// anyHeld returns a byte of a range that others have locked.
func (f portFile) anyHeld(start, n int64) (at int64, held bool, err error) {
	if n == 0 {
		return 0, false, nil
	}
	lock, held, err := f.Held(start, n, true)
	return max(start, lock.Start), held, err
}

// allHeld returns the bytes of a range that others have locked, in order.
func (f portFile) allHeld(start, n int64) ([]int64, error) {
	type span struct{ start, n int64 }
	var list []int64
	for todo := []span{{start, n}}; len(todo) != 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		at, held, err := f.anyHeld(s.start, s.n)
		if err != nil {
			return nil, err
		}
		if held { // and perhaps more on either side: the kernel finds any
			list = append(list, at)
			todo = append(todo, span{s.start, at - s.start}, span{at + 1, s.start + s.n - at - 1})
		}
	}
	slices.Sort(list)
	return list, nil
}

// take locks a byte, to share it or for this claim alone, under the gate and
// after a look that nobody stands in the way.
func (f portFile) take(at int64, share bool) error {
	try := f.TryLock
	if share {
		try = f.TryShare
	}
	ok, err := try(at, 1)
	if err == nil && !ok {
		err = fmt.Errorf("%s: byte %#x was locked by a program that did not wait for the gate: find it, and end it", f.Name(), at)
	}
	return err
}

// drop gives up all locks, also where a forked child has a copy of the
// descriptor, and closes the file.
func (f portFile) drop() error {
	err := f.Unlock(0, 0)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
