// SPDX-License-Identifier: MIT

package descriptors

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

func TestDuplicate(t *testing.T) {
	var pair [2]int
	if err := unix.Pipe2(pair[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	copies, err := Duplicate(pair[:])
	if err != nil || len(copies) != 2 {
		t.Fatal(copies, err)
	}
	for _, fd := range copies {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("copy %d: flags %#x, %v", fd, flags, err)
		}
	}
	CloseAll(pair[:])
	CloseAll(copies)
	for _, fd := range append(pair[:], copies...) {
		if isOpen(fd) {
			t.Errorf("%d is open", fd)
		}
	}
	if copies, err := Duplicate(pair[:]); !errors.Is(err, unix.EBADF) || copies != nil {
		t.Errorf("of closed descriptors: %v, %v", copies, err)
	}
}

func TestOfRights(t *testing.T) {
	if got := OfRights(unix.UnixRights(3, 4)); len(got) != 2 || got[0] != 3 || got[1] != 4 {
		t.Errorf("%v", got)
	}
	for _, garbage := range [][]byte{nil, {1}, make([]byte, 16)} {
		if got := OfRights(garbage); got != nil {
			t.Errorf("of %x: %v", garbage, got)
		}
	}
}
