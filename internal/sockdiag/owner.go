// SPDX-License-Identifier: MIT

package sockdiag

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Owner is a process that has a socket open.
type Owner struct {
	Process int
	Program string // what it calls itself (comm, at most 15 bytes), control characters replaced
}

// Owners finds for each inode the process of the lowest number that has the
// socket open: of a server that forks, the parent.
//
// The result has no entry where no process was found: processes of other users
// need CAP_SYS_PTRACE, those outside of the PID namespace that /proc shows are
// invisible, and a socket that is only in flight between two processes has none.
func Owners(inodes ...uint32) map[uint32]Owner {
	return owners("/proc", inodes)
}

func owners(proc string, inodes []uint32) map[uint32]Owner {
	found := make(map[uint32]Owner, len(inodes))
	wanted := make(map[string]uint32, len(inodes)) // by what the link of a descriptor says
	for _, inode := range inodes {
		wanted["socket:["+strconv.FormatUint(uint64(inode), 10)+"]"] = inode
	}
	for _, pid := range processes(proc) {
		if len(wanted) == 0 {
			break
		}
		dir := filepath.Join(proc, strconv.Itoa(pid))
		for _, link := range links(dir) {
			if inode, ok := wanted[link]; ok {
				found[inode] = Owner{pid, program(dir)}
				delete(wanted, link)
			}
		}
	}
	return found
}

func processes(proc string) (pids []int) {
	entries, _ := os.ReadDir(proc)
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.SortFunc(pids, cmp.Compare)
	return pids
}

// links returns what the descriptors of a process refer to; nothing if it may
// not be seen, or is gone.
func links(dir string) (links []string) {
	entries, _ := os.ReadDir(filepath.Join(dir, "fd"))
	for _, entry := range entries {
		if link, err := os.Readlink(filepath.Join(dir, "fd", entry.Name())); err == nil {
			links = append(links, link)
		}
	}
	return links
}

// program returns the name of a process. Any process may choose its own: what
// could upset a terminal is taken out.
func program(dir string) string {
	comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimSuffix(string(comm), "\n"))
}
