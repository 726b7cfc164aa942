// SPDX-License-Identifier: MIT

package rundir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// Env is the environment variable that names the base directory. Programs
	// that run with more privilege than their caller (setuid, file
	// capabilities) do not look at it.
	Env = "MSQUICXDP_STATE_DIR"

	// DefaultBase is the base directory where nobody names one.
	DefaultBase = "/run/msquicxdp"
)

// baseOr returns the base directory that an argument or the environment names.
func baseOr(base string) string {
	if base == "" && !privilegedByExec() {
		base = os.Getenv(Env)
	}
	if base == "" {
		base = DefaultBase
	}
	return base
}

// privilegedByExec reports whether the caller of this program may be somebody
// less trusted, which the kernel tells every program.
func privilegedByExec() bool {
	const atSecure = 23 // AT_SECURE of getauxval(3)
	aux, err := unix.Auxv()
	for _, v := range aux {
		if v[0] == atSecure {
			return v[1] != 0
		}
	}
	return err != nil
}

// openBase opens the base directory, and creates it if asked to. The returned
// descriptor serves to look up names, and no more (O_PATH).
func openBase(base string, create bool) (directory, error) {
	base = baseOr(base)
	if !filepath.IsAbs(base) {
		return directory{}, &UnavailableError{Path: base, Err: errors.New("not an absolute path"), Hint: "begin it with /"}
	}
	base = filepath.Clean(base)
	if base == "/" {
		return directory{}, &UnavailableError{Path: base, Err: errors.New("not a directory of its own"), Hint: "name one in it"}
	}
	parent, err := openParent(base)
	if err != nil {
		return directory{}, err
	}
	defer unix.Close(parent)
	return openDirectory(parent, base, create, unix.O_PATH)
}

// openParent walks to the directory that holds path, without following a
// symbolic link, and looks at every directory on the way: who can rename one of
// them can put another base in the place of ours.
func openParent(path string) (fd int, err error) {
	fd, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, refusedBy("open", "/", err)
	}
	top, err := statOf(fd, "/")
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	names := strings.Split(path[1:], "/")
	for i, name := range names[:len(names)-1] {
		next, err := openAncestor(fd, name, "/"+strings.Join(names[:i+1], "/"), top.Uid)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

// openAncestor opens a directory on the way to the base. top is the owner of
// "/", who is root, except in a user namespace that has no name for root.
func openAncestor(parent int, name, path string, top uint32) (fd int, err error) {
	fd, err = unix.Openat(parent, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, refusedBy("open", path, err)
	}
	st, err := statOf(fd, path)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	switch {
	case !isRootOrUs(st.Uid) && st.Uid != top:
		err = fmt.Errorf("it belongs to uid %d, who can put another directory in its place", st.Uid)
	case st.Mode&0o002 != 0 && st.Mode&unix.S_ISVTX == 0:
		err = fmt.Errorf("everybody may write to it (mode %04o)", st.Mode&0o7777)
	default:
		return fd, nil
	}
	unix.Close(fd)
	return -1, &UnavailableError{Path: path, Err: err, Hint: "choose another place, such as " + DefaultBase}
}

func statOf(fd int, path string) (st unix.Stat_t, err error) {
	if err = unix.Fstat(fd, &st); err != nil {
		return st, refusedBy("fstat", path, err)
	}
	return st, nil
}
