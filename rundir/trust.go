// SPDX-License-Identifier: MIT

package rundir

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// circle is who can write to a directory: its owner, and a group if root shares
// it with one.
type circle struct {
	owner, group uint32
	shared       bool // with group
}

func isRootOrUs(uid uint32) bool { return uid == 0 || uid == uint32(os.Geteuid()) }

// inGroup reports whether the process is of the group. Root is of every one: it
// shared the directory.
func inGroup(gid uint32) bool {
	if os.Geteuid() == 0 || uint32(os.Getegid()) == gid {
		return true
	}
	groups, err := os.Getgroups()
	return err == nil && slices.Contains(groups, int(gid))
}

// circleOf says who can write to a directory, or why that is too many.
func circleOf(st *unix.Stat_t, path string) (circle, error) {
	c := circle{owner: st.Uid, group: st.Gid, shared: st.Mode&0o020 != 0}
	mode := st.Mode & 0o7777
	refuse := func(hint, format string, args ...any) (circle, error) {
		return circle{}, &UnavailableError{Path: path, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	switch {
	case !isRootOrUs(st.Uid):
		return refuse("remove it, or "+hintOwn, "it belongs to uid %d, and this process runs as uid %d", st.Uid, os.Geteuid())
	case mode&0o002 != 0:
		return refuse("chmod o-w", "everybody may write to it (mode %04o)", mode)
	case c.shared && st.Uid != 0:
		return refuse("chmod g-w", "group %d may write to it (mode %04o), and only root can share one", st.Gid, mode)
	case c.shared && !inGroup(st.Gid):
		return refuse("join that group, or "+hintOwn, "root shares it with group %d, and this process is not of it", st.Gid)
	}
	return c, nil
}

// mayClaim says why this process has no say in a directory of its system.
func (c circle) mayClaim(path string) error {
	if c.shared || c.owner == uint32(os.Geteuid()) {
		return nil
	}
	return &UnavailableError{Path: path, Err: fmt.Errorf("only uid %d can make claims in it, and this process runs as uid %d", c.owner, os.Geteuid()), Hint: hintMayNot}
}

// fileMode is the mode of the files in it.
func (c circle) fileMode() uint32 {
	if c.shared {
		return 0o660
	}
	return 0o600
}

// admits says what is wrong with a file. In a shared directory its owner does
// not matter: only the group could make it.
func (c circle) admits(st *unix.Stat_t, path string) error {
	mode := st.Mode & 0o7777
	var err error
	hint := "stop the programs that use it and remove it"
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = fmt.Errorf("it is no file (mode %06o)", st.Mode)
	case st.Nlink > 1:
		err = fmt.Errorf("it has %d names", st.Nlink)
	case !c.shared && !isRootOrUs(st.Uid):
		err = fmt.Errorf("it belongs to uid %d", st.Uid)
	case c.shared && st.Gid != c.group:
		err = fmt.Errorf("it belongs to group %d, its directory to group %d", st.Gid, c.group)
	case mode&^c.fileMode() != 0:
		err = fmt.Errorf("others can open it (mode %04o), and so take its locks", mode)
		hint = fmt.Sprintf("chmod %04o", c.fileMode())
	default:
		return nil
	}
	return &UnavailableError{Path: path, Err: err, Hint: hint}
}
