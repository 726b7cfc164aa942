// SPDX-License-Identifier: MIT

package rundir

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Dir is the state directory of one network namespace.
type Dir struct {
	directory
	ns Namespace
}

// directory is an open directory and who can write to it.
type directory struct {
	fd   int
	path string
	circle
}

// Open opens the state directory of the calling thread's network namespace
// below a base directory; "" stands for the one of the environment, or
// [DefaultBase]. It creates what is missing of the two. An [UnavailableError]
// says why this process cannot make claims in it.
func Open(base string) (*Dir, error) {
	ns, err := currentNamespace()
	if err != nil {
		return nil, err
	}
	b, err := openBase(base, true)
	if err != nil {
		return nil, err
	}
	defer unix.Close(b.fd)
	return b.namespace(ns, true)
}

// Find is [Open], but creates nothing: where nobody has used the directory since the
// machine started, the error is an os.ErrNotExist.
func Find(base string) (*Dir, error) {
	ns, err := currentNamespace()
	if err != nil {
		return nil, err
	}
	b, err := openBase(base, false)
	if err != nil {
		return nil, err
	}
	defer unix.Close(b.fd)
	return b.namespace(ns, false)
}

// Path returns the path of the directory.
func (d *Dir) Path() string { return d.path }

// ShortPath returns a path of a name in the directory that is good for this
// process only, until Close, and fits into the 107 bytes of a unix socket's
// address.
func (d *Dir) ShortPath(name string) string {
	return "/proc/self/fd/" + strconv.Itoa(d.fd) + "/" + name
}

// Namespace returns the network namespace whose state this is.
func (d *Dir) Namespace() Namespace { return d.ns }

// Close closes the directory. Files that were opened in it stay open.
func (d *Dir) Close() { unix.Close(d.fd) }

// Names returns the sorted names in the directory.
func (d *Dir) Names() ([]string, error) { return d.names() }

// OpenFile opens a file for reading and writing, and creates it where it is
// missing. It refuses, as an [UnavailableError], what is not a file that only
// this directory's users can open.
func (d *Dir) OpenFile(name string) (*File, error) {
	for range maxTurns {
		f, err := d.OpenExisting(name)
		if !errors.Is(err, os.ErrNotExist) {
			return f, err
		}
		if err := d.create(name); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, err
		}
	}
	return nil, d.removedAllTheTime(name)
}

// OpenLocked is [Dir.OpenFile], and takes n bytes of the file for itself, for
// which it waits as [File.Lock] does. The name denotes the file that is locked:
// a lock is worth something only where others find it.
func (d *Dir) OpenLocked(name string, off, n int64) (*File, error) {
	for range maxTurns {
		f, err := d.OpenFile(name)
		if err != nil {
			return nil, err
		}
		current := false
		if err = f.Lock(off, n); err == nil {
			current, err = f.isCurrent()
		}
		if current {
			return f, nil
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return nil, d.removedAllTheTime(name)
}

// maxTurns is how often a file may vanish between two steps.
const maxTurns = 100

func (d *Dir) removedAllTheTime(name string) error {
	return &UnavailableError{Path: d.path + "/" + name, Err: errors.New("somebody removes it all the time"), Hint: "find out who"}
}

// OpenExisting is [Dir.OpenFile] for a file that must be there; without it the
// error is an os.ErrNotExist.
func (d *Dir) OpenExisting(name string) (*File, error) {
	if !isPlainName(name) {
		return nil, &UnavailableError{Path: d.path, Err: fmt.Errorf("%q is no name for a file in it", name)}
	}
	path := d.path + "/" + name
	// O_NONBLOCK: somebody may have put a pipe or a device there.
	fd, err := unix.Openat(d.fd, name, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, refusedBy("open", path, err)
	}
	st, err := statOf(fd, path)
	if err == nil {
		err = d.admits(&st, path)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &File{fd: fd, dir: d, name: name}, nil
}

// create makes an empty file. It has its mode and group before it has its name,
// so that a crash leaves no file that is half made, and no umask matters.
func (d *Dir) create(name string) error {
	path := d.path + "/" + name
	if !d.shared {
		fd, err := unix.Openat(d.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, d.fileMode())
		if err != nil {
			return refusedBy("create", path, err)
		}
		return unix.Close(fd)
	}
	fd, err := unix.Openat(d.fd, ".", unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, d.fileMode())
	if err != nil {
		return refusedBy("create", path, err)
	}
	defer unix.Close(fd)
	if err := share(fd, path, d.group, d.fileMode()); err != nil {
		return err
	}
	if err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), d.fd, name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return refusedBy("link", path, err)
	}
	return nil
}

// share gives what fd refers to to a group.
func share(fd int, path string, group, mode uint32) error {
	if err := unix.Fchown(fd, -1, int(group)); err != nil {
		return refusedBy("fchown", path, err)
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		return refusedBy("fchmod", path, err)
	}
	return nil
}

func isPlainName(name string) bool {
	return name != "" && !strings.HasPrefix(name, ".") && !strings.ContainsAny(name, "/\x00")
}

// openDirectory opens a directory by the last part of its path, and creates it
// with mode 0755 if asked to.
func openDirectory(parent int, path string, create bool, flags int) (directory, error) {
	name := path[strings.LastIndexByte(path, '/')+1:]
	flags |= unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(parent, name, flags, 0)
	if create && errors.Is(err, unix.ENOENT) {
		if err := unix.Mkdirat(parent, name, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return directory{}, refusedBy("mkdir", path, err)
		}
		fd, err = unix.Openat(parent, name, flags, 0)
	}
	if err != nil {
		return directory{}, refusedBy("open", path, err)
	}
	d := directory{fd: fd, path: path}
	if err := d.judge(); err != nil {
		unix.Close(fd)
		return directory{}, err
	}
	return d, nil
}

// judge finds out who can write to the directory.
func (d *directory) judge() error {
	st, err := statOf(d.fd, d.path)
	if err == nil {
		d.circle, err = circleOf(&st, d.path)
	}
	return err
}

// namespace opens the directory of a network namespace in the base directory d.
func (d *directory) namespace(ns Namespace, create bool) (*Dir, error) {
	path := d.path + "/" + ns.String()
	isRoot := os.Geteuid() == 0
	// A member's directory would have its umask, and be its own.
	in, err := openDirectory(d.fd, path, create && (isRoot || !d.shared), unix.O_RDONLY)
	if d.shared && errors.Is(err, os.ErrNotExist) {
		return nil, &UnavailableError{Path: path, Err: err, Hint: "let root make it, by any command of msquicxdp ports in this network namespace"}
	}
	if err != nil {
		return nil, err
	}
	if create && isRoot && d.shared && !in.shared {
		if err = share(in.fd, path, d.group, 0o2775); err == nil {
			err = in.judge()
		}
	}
	if err == nil {
		err = in.mayClaim(path)
	}
	if err != nil {
		unix.Close(in.fd)
		return nil, err
	}
	return &Dir{in, ns}, nil
}

// names returns the sorted names in the directory.
func (d *directory) names() ([]string, error) {
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, refusedBy("open", d.path, err)
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, kerr.New("readdir", d.path, err, "")
}
