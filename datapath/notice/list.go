// SPDX-License-Identifier: MIT

package notice

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// List returns the notices in the network namespace of dir whose writers live, by process.
// It changes nothing. With an error it still returns those that could be read.
func List(dir *rundir.Dir) ([]Notice, error) {
	list, err := names(dir)
	var notices []Notice
	for _, name := range list {
		n, lives, errRead := read(dir, name)
		if errRead == nil && lives {
			notices = append(notices, n)
		}
		err = errors.Join(err, errRead)
	}
	slices.SortStableFunc(notices, func(a, b Notice) int { return cmp.Or(cmp.Compare(a.PID, b.PID), a.Since.Compare(b.Since)) })
	return notices, err
}

// read reads a notice, and reports whether its writer lives.
func read(dir *rundir.Dir, name string) (n Notice, lives bool, err error) {
	file, err := dir.OpenExisting(name)
	if errors.Is(err, os.ErrNotExist) { // withdrawn meanwhile
		return n, false, nil
	}
	if err != nil {
		return n, false, err
	}
	defer file.Close()
	if _, lives, err = file.Held(heldAt, 1, true); err != nil || !lives {
		return n, false, err
	}
	b := make([]byte, size)
	for range turns {
		_, err = file.ReadAt(b, 0)
		if err == nil {
			n, err = decode(b)
		}
		if err == nil || !errors.Is(err, io.EOF) && !errors.Is(err, errHalf) {
			break
		}
		time.Sleep(time.Millisecond) // it is being written
	}
	if err != nil {
		err = fmt.Errorf("notice %s/%s: %w", dir.Path(), name, err)
	}
	return n, true, err
}

// turns is how often to read what is being written: a millisecond each.
const turns = 20
