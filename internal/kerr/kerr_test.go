// SPDX-License-Identifier: MIT

package kerr

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNoErrorMakesNoError(t *testing.T) {
	if err := New("bind", "udp [::]:443", nil, "hint"); err != nil {
		t.Errorf("%v", err)
	}
	if got := Errno(nil); got != 0 {
		t.Errorf("errno %d of nil", got)
	}
}

func TestTextNamesOperationArgumentsErrnoAndHint(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"with a hint", New("bind", "udp [::]:443", unix.EADDRINUSE, "free the port"),
			"bind(udp [::]:443): address already in use (errno 98); free the port"},
		{"without", New("listen", "tcp [::]:443", unix.EACCES, ""),
			"listen(tcp [::]:443): permission denied (errno 13)"},
		{"no arguments", New("epoll_create1", "", unix.EMFILE, ""),
			"epoll_create1(): too many open files (errno 24); raise RLIMIT_NOFILE of the process (ulimit -n)"},
		{"not an errno", New("read", "x", io.EOF, ""),
			"read(x): input/output error (errno 5)"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestErrnoIsFoundInside(t *testing.T) {
	kernel := New("bind", "x", unix.EADDRINUSE, "")
	for _, test := range []struct {
		name string
		err  error
		want unix.Errno
	}{
		{"itself", unix.EPERM, unix.EPERM},
		{"of this package", kernel, unix.EADDRINUSE},
		{"wrapped", fmt.Errorf("open: %w", kernel), unix.EADDRINUSE},
		{"of package os", &os.PathError{Op: "open", Path: "/", Err: unix.ENOENT}, unix.ENOENT},
		{"made from a wrapped one", New("x", "", fmt.Errorf("y: %w", unix.EAGAIN), ""), unix.EAGAIN},
		{"none", errors.New("no errno"), unix.EIO},
	} {
		if got := Errno(test.err); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
	if !errors.Is(kernel, unix.EADDRINUSE) || errors.Is(kernel, unix.EACCES) {
		t.Error("errors.Is does not compare the errno")
	}
	var e *Error
	if !errors.As(fmt.Errorf("open: %w", kernel), &e) || e.Op != "bind" {
		t.Error("errors.As does not find the Error")
	}
}
