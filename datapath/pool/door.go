// SPDX-License-Identifier: MIT

package pool

import (
	"errors"

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
	supplyAt  = 1    // of a queue's: who gives chunks to FILL that are nowhere
	seatAt    = 1024 // and up, of a queue's
	slotAt    = 1024 // and up, of the namespace's
	versionAt = 4096 // and up: shared by all members of that version
)

const (
	version  = 5   // of the files and of the wire
	versions = 256 // that there can be
)

// enter opens a lock file and waits for its door, which is [leave]d soon.
func enter(dir *rundir.Dir, name string) (f *rundir.File, err error) {
	err = until(doorPatience, "the door of "+dir.Path()+"/"+name, func() (bool, error) {
		f, err = dir.OpenFile(name)
		if err != nil {
			return false, err
		}
		ok, err := knock(f, dir, name)
		if ok {
			return true, nil
		}
		return false, errors.Join(err, f.Close())
	})
	return f, err
}

// knock takes the door, if nobody has it. There is no wait for a lock that ends at a deadline.
func knock(f *rundir.File, dir *rundir.Dir, name string) (ok bool, err error) {
	if ok, err = f.TryLock(doorAt, 1); !ok || err != nil {
		return false, err
	}
	// It is worth something only where others find it: somebody may have removed the file.
	named, err := dir.OpenFile(name)
	if err != nil {
		return false, err
	}
	_, held, err := named.Held(doorAt, 1, true)
	return held, errors.Join(err, named.Close())
}

// leave opens the door for the next.
func leave(f *rundir.File) error { return f.Unlock(doorAt, 1) }
