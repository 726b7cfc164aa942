// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

const (
	publicFile    = 0o644
	privateFile   = 0o600
	publicFolder  = 0o755
	privateFolder = 0o700

	// maxContent bounds what is read, in bytes: beyond any honest store.
	maxContent = 64 << 20
)

// hintRead and hintChange say what can be done about a refusal.
func hintRead(err error) string {
	if kerr.Errno(err) == unix.EACCES {
		return "let all enter the directories above it, and read it"
	}
	return ""
}

func hintChange(err error) string {
	switch kerr.Errno(err) {
	case unix.EACCES, unix.EPERM:
		return "only root may change reservations"
	case unix.EROFS:
		return "the file system may only be read; " + pathVariable + " can name another place"
	}
	return ""
}

// readFile returns the content of a file that others replace by renaming. It
// returns nil, and no error, when there is none. A file that somebody else than
// root or this user could have written is refused.
func readFile(path string) ([]byte, error) {
	// O_NONBLOCK: not to wait for the writer of a FIFO.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, kerr.New("open", path, err, hintRead(err))
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if err := trust(f, unix.S_IFREG); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxContent+1))
	if err == nil && len(content) > maxContent {
		err = unix.EFBIG
	}
	return content, kerr.New("read", path, err, "")
}

// trust returns an error unless an open file is of this type (S_IFMT), and only
// root and this user may write it.
func trust(f *os.File, kind uint32) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return kerr.New("fstat", f.Name(), err, "")
	}
	names := map[uint32]string{unix.S_IFREG: "regular file", unix.S_IFDIR: "directory"}
	switch {
	case st.Mode&unix.S_IFMT != kind:
		return fmt.Errorf("%s is no %s: %w", f.Name(), names[kind], unix.EINVAL)
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, not to root: %w; chown it to root", f.Name(), st.Uid, unix.EPERM)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%s may be written by others (mode %#o): %w; run: chmod go-w %s", f.Name(), st.Mode&0o7777, unix.EPERM, f.Name())
	}
	return nil
}

// folder is an open directory in which files are replaced.
type folder struct{ *os.File }

// openFolder opens a directory, and makes it with this mode if there is none.
func openFolder(path string, mode fs.FileMode) (folder, error) {
	err := unix.Mkdir(path, uint32(mode))
	if err == nil {
		err = settleFolder(path, mode)
	} else if errors.Is(err, unix.EEXIST) {
		err = nil
	}
	if err != nil {
		return folder{}, kerr.New("mkdir", path, err, hintChange(err))
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return folder{}, kerr.New("open", path, err, hintChange(err))
	}
	d := folder{os.NewFile(uintptr(fd), path)}
	if err := trust(d.File, unix.S_IFDIR); err != nil {
		d.Close()
		return folder{}, err
	}
	return d, nil
}

// settleFolder makes a new directory as lasting as the file that comes into it.
func settleFolder(path string, mode fs.FileMode) error {
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		return err
	}
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

// openFile opens a file of the directory, never through a symbolic link.
func (d folder) openFile(name string, flags int, mode fs.FileMode) (*os.File, error) {
	path := filepath.Join(d.Name(), name)
	fd, err := unix.Openat(int(d.Fd()), name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, uint32(mode))
	if err != nil {
		return nil, kerr.New("openat", path, err, hintChange(err))
	}
	return os.NewFile(uintptr(fd), path), nil
}

// flock waits for a lock among all who have the directory open, and keeps it
// until the directory is closed. It is for file systems that hold no lock file.
func (d folder) flock() error {
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			return kerr.New("flock", d.Name(), err, "")
		}
	}
}

// lock waits for a lock among all who would change a file, and returns the file
// to close for giving it back. The kernel does so when the process ends. The
// lock file stays: two processes must not lock two files of one name.
func (d folder) lock(name string) (*os.File, error) {
	f, err := d.openFile(name, unix.O_RDWR|unix.O_CREAT, privateFile)
	if err != nil {
		return nil, err
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	for {
		err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLKW, &whole)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, kerr.New("fcntl", "F_OFD_SETLKW, "+f.Name(), err, "")
		}
	}
}

// replace puts new content in the place of a file, so that whatever happens,
// everybody finds the old or the new content, whole. The caller has the lock.
func (d folder) replace(name string, content []byte, mode fs.FileMode) error {
	temporary := name + ".new"
	if err := d.writeNew(temporary, content, mode); err != nil {
		return err
	}
	if err := unix.Renameat(int(d.Fd()), temporary, int(d.Fd()), name); err != nil {
		return kerr.New("renameat", temporary+", "+filepath.Join(d.Name(), name), err, "")
	}
	return kerr.New("fsync", d.Name(), d.Sync(), "the change is made, but a power failure could undo it")
}

// writeNew writes a file that has no name yet, or one that a process left when
// it was killed.
func (d folder) writeNew(name string, content []byte, mode fs.FileMode) error {
	path := filepath.Join(d.Name(), name)
	if err := unix.Unlinkat(int(d.Fd()), name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return kerr.New("unlinkat", path, err, "")
	}
	f, err := d.openFile(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(mode); err != nil { // whatever the umask
		return kerr.New("fchmod", path, err, "")
	}
	if _, err := f.Write(content); err != nil {
		return kerr.New("write", path, err, "")
	}
	return kerr.New("fsync", path, f.Sync(), "")
}
