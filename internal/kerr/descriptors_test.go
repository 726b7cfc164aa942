// SPDX-License-Identifier: MIT

package kerr

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDescriptors(t *testing.T) {
	if err := Descriptors(10); err != nil {
		t.Error(err)
	}
	withTen(t, func() {
		if err := Descriptors(10); !errors.Is(err, unix.EMFILE) {
			t.Errorf("with 10 in all: %v", err)
		}
	})
}

// withTen lets f run with ten descriptors in all.
func withTen(t *testing.T, f func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 10, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	f()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

func TestFirst(t *testing.T) {
	var f First
	calls, refusal := 0, error(unix.EPERM)
	use := func() error { calls++; return refusal }
	if err := f.Do(10, use); err != refusal || calls != 1 {
		t.Errorf("refused: %v after %d calls", err, calls)
	}
	withTen(t, func() {
		if err := f.Do(10, use); !errors.Is(err, unix.EMFILE) || calls != 1 {
			t.Errorf("with 10 in all: %v after %d calls", err, calls)
		}
	})
	refusal = nil
	if err := f.Do(10, use); err != nil || calls != 2 {
		t.Errorf("granted: %v after %d calls", err, calls)
	}
	withTen(t, func() {
		if err := f.Do(10, use); err != nil || calls != 3 {
			t.Errorf("with 10 in all, later: %v after %d calls", err, calls)
		}
	})
}

func TestAdoptClosesWhatItDoesNotHandOver(t *testing.T) {
	var f First
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	withTen(t, func() {
		err := f.Adopt(10, []int{pipe[0], pipe[1], pipe[0]}, func() error {
			t.Error("it was handed over")
			return nil
		})
		if !errors.Is(err, unix.EMFILE) {
			t.Errorf("with 10 in all: %v", err)
		}
	})
	for _, fd := range pipe {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("descriptor %d: %v", fd, err)
		}
	}
}
