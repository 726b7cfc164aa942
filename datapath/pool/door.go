// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"time"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// Bytes of the lock files. None of them exists.
//
//	xdp                    who is a member
//	xdp-<ifindex>          who has the program of an interface
//	xdp-<ifindex>-<queue>  who has which seat of a pool
const (
	doorAt    = 0    // of each file: who changes anything
	programAt = 1    // of an interface's: shared by all who have the program
	seatAt    = 1024 // and up, of a queue's
	slotAt    = 1024 // and up, of the namespace's
	versionAt = 4096 // and up: shared by all members of that version
)

const (
	version  = 1   // of the files and of the wire
	versions = 256 // that there can be
)

// doorPatience is how long to wait for who is at a door: it takes some milliseconds,
// unless that process is stopped.
const doorPatience = 5 * time.Second

// enter opens a lock file and waits for its door, which is [leave]d soon.
func enter(dir *rundir.Dir, name string) (*rundir.File, error) {
	for deadline := time.Now().Add(doorPatience); ; {
		f, err := dir.OpenFile(name)
		if err != nil {
			return nil, err
		}
		ok, err := knock(f, deadline)
		if ok {
			ok, err = known(dir, name)
		}
		if ok {
			return f, nil
		}
		if err == nil && time.Now().After(deadline) {
			err = &SilentError{What: "the door of " + dir.Path() + "/" + name}
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
}

// knock takes the door. There is no wait for a lock that ends at a deadline: hence the
// turns.
func knock(f *rundir.File, deadline time.Time) (ok bool, err error) {
	for {
		ok, err = f.TryLock(doorAt, 1)
		if ok || err != nil || time.Now().After(deadline) {
			return ok, err
		}
		time.Sleep(doorInterval)
	}
}

const doorInterval = time.Millisecond

// known reports whether the door of the file that has the name is taken: it is not where
// somebody has removed the file that we locked.
func known(dir *rundir.Dir, name string) (bool, error) {
	f, err := dir.OpenFile(name)
	if err != nil {
		return false, err
	}
	_, held, err := f.Held(doorAt, 1, true)
	return held, errors.Join(err, f.Close())
}

// leave opens the door for the next.
func leave(f *rundir.File) error { return f.Unlock(doorAt, 1) }
