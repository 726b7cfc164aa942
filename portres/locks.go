// SPDX-License-Identifier: MIT

package portres

import (
	"fmt"
	"slices"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// portFile is the file of one port. What it says of locks is about those of
// other open files.
type portFile struct {
	*rundir.File
}

// mode is how a port is held.
type mode uint8

const (
	free mode = iota
	exclusive
	shared
)

// mode returns how others hold the port.
func (f portFile) mode() (mode, error) {
	lock, held, err := f.Held(modeAt, 1, true)
	switch {
	case err != nil || !held:
		return free, err
	case lock.Exclusive:
		return exclusive, nil
	}
	return shared, nil
}

// otherVersion returns a version of the protocol that others hold and we do not speak.
func (f portFile) otherVersion() (version int, held bool, err error) {
	at, held, err := f.besides(versionAt, versions, versionAt+Version)
	return int(at - versionAt), held, err
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

// besides is anyHeld for all bytes of the range but one.
func (f portFile) besides(start, n, but int64) (at int64, held bool, err error) {
	at, held, err = f.anyHeld(start, but-start)
	if held || err != nil {
		return at, held, err
	}
	return f.anyHeld(but+1, start+n-but-1)
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

// share locks bytes that any number of claims share. It is called under the
// gate when nobody has them for himself.
func (f portFile) share(bytes ...int64) error { return f.take(f.TryShare, bytes) }

// own locks bytes for this claim alone, under the gate when nobody has them.
func (f portFile) own(bytes ...int64) error { return f.take(f.TryLock, bytes) }

func (f portFile) take(try func(off, n int64) (bool, error), bytes []int64) error {
	for _, at := range bytes {
		ok, err := try(at, 1)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%s: byte %#x was locked by a program that did not wait for the gate: find it, and end it", f.Name(), at)
		}
	}
	return nil
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
