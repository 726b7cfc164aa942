// SPDX-License-Identifier: MIT

package rundir

import (
	"errors"
	"fmt"
	"io"
	"math"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// File is an open file of a [Dir]. Its locks are told apart by open files: two
// of them in one process exclude each other, and a copy of the descriptor in a
// forked child has the same locks.
type File struct {
	fd   int
	dir  *Dir
	name string
}

// Name returns the name of the file in its directory.
func (f *File) Name() string { return f.name }

// Close closes the descriptor. The locks go with the last copy of it.
func (f *File) Close() error {
	return kerr.New("close", f.path(), unix.Close(f.fd), "")
}

// isCurrent reports whether the name still denotes this file.
func (f *File) isCurrent() (bool, error) {
	var ours, named unix.Stat_t
	if err := unix.Fstat(f.fd, &ours); err != nil {
		return false, kerr.New("fstat", f.path(), err, "")
	}
	err := unix.Fstatat(f.dir.fd, f.name, &named, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return ours.Dev == named.Dev && ours.Ino == named.Ino, kerr.New("fstatat", f.path(), err, "")
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := unix.Pread(f.fd, p[n:], off+int64(n))
		if err != nil {
			return n, kerr.New("pread", f.path(), err, "")
		}
		if m == 0 {
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

// WriteAt implements io.WriterAt. Where RLIMIT_FSIZE forbids the write, that is
// an EFBIG: the kernel would kill a process that does not expect it.
func (f *File) WriteAt(p []byte, off int64) (n int, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err == nil && uint64(off)+uint64(len(p)) > limit.Cur {
		return 0, kerr.New("pwrite", f.path(), unix.EFBIG, "raise RLIMIT_FSIZE of the process")
	}
	for n < len(p) {
		m, err := unix.Pwrite(f.fd, p[n:], off+int64(n))
		if err != nil {
			return n, kerr.New("pwrite", f.path(), err, "")
		}
		n += m
	}
	return n, nil
}

// TryLock takes n bytes for itself, unless another open file has a lock on any
// of them. Zero n means all from off on.
func (f *File) TryLock(off, n int64) (bool, error) { return f.try(unix.F_WRLCK, off, n) }

// TryShare locks n bytes together with others that share them, unless another
// open file has them for itself.
func (f *File) TryShare(off, n int64) (bool, error) { return f.try(unix.F_RDLCK, off, n) }

// Unlock gives up all locks on n bytes, at once. It takes them from copies of
// the descriptor, too.
func (f *File) Unlock(off, n int64) error {
	return f.lockError("unlock", off, n, f.fcntl(unix.F_OFD_SETLK, f.lock(unix.F_UNLCK, off, n)))
}

// Lock is [File.TryLock], but waits until it has the lock. Use it only for what
// others hold for a moment: nothing ends the wait but they.
func (f *File) Lock(off, n int64) error {
	return f.lockError("lock", off, n, f.fcntl(unix.F_OFD_SETLKW, f.lock(unix.F_WRLCK, off, n)))
}

func (f *File) try(kind int16, off, n int64) (bool, error) {
	err := f.fcntl(unix.F_OFD_SETLK, f.lock(kind, off, n))
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	return err == nil, f.lockError("lock", off, n, err)
}

// Lock is a lock that another open file has.
type Lock struct {
	Start, Length int64 // to the end: Start+Length is the greatest offset
	Exclusive     bool
}

// Held looks for a lock of another open file that stands in the way of locking
// n bytes, for itself or to share. Of several it finds any.
func (f *File) Held(off, n int64, exclusive bool) (found Lock, held bool, err error) {
	kind := int16(unix.F_RDLCK)
	if exclusive {
		kind = unix.F_WRLCK
	}
	l := f.lock(kind, off, n)
	if err := f.fcntl(unix.F_OFD_GETLK, l); err != nil || l.Type == unix.F_UNLCK {
		return Lock{}, false, f.lockError("look for a lock", off, n, err)
	}
	if l.Len == 0 {
		l.Len = math.MaxInt64 - l.Start
	}
	return Lock{Start: l.Start, Length: l.Len, Exclusive: l.Type == unix.F_WRLCK}, true, nil
}

func (f *File) lock(kind int16, off, n int64) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: off, Len: n}
}

// fcntl starts again after signals, which end a wait.
func (f *File) fcntl(cmd int, l *unix.Flock_t) error {
	for {
		err := unix.FcntlFlock(uintptr(f.fd), cmd, l)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (f *File) lockError(op string, off, n int64, err error) error {
	hint := ""
	if errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EINVAL) {
		hint = "put the state directory on a file system that has open file description locks, such as tmpfs"
	}
	return kerr.New(op, fmt.Sprintf("%s, %d bytes at %#x", f.path(), n, off), err, hint)
}

func (f *File) path() string { return f.dir.path + "/" + f.name }
