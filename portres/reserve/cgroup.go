// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// mountsPath tells the mounts that the calling thread sees.
const mountsPath = "/proc/thread-self/mountinfo"

// cgroupTop returns where the top of the cgroup v2 hierarchy is mounted; in a
// cgroup namespace, the top of what is seen there.
func cgroupTop() (string, error) {
	mounts, err := os.ReadFile(mountsPath)
	if err != nil {
		return "", kerr.New("read", mountsPath, err, "mount /proc")
	}
	if path, ok := findCgroupTop(string(mounts)); ok {
		return path, nil
	}
	return "", &UnavailableError{
		Need: "cgroup v2 mounted (mount -t cgroup2 none /sys/fs/cgroup, or another directory)",
		Err:  errors.New("no cgroup2 in " + mountsPath),
	}
}

// findCgroupTop looks for it in a mountinfo, as proc_pid_mountinfo(5) tells:
//
//	36 35 98:0 /part /mount/point options optional... - type source options
func findCgroupTop(mounts string) (path string, ok bool) {
	for line := range strings.Lines(mounts) {
		where, what, _ := strings.Cut(line, " - ")
		f := strings.Fields(where)
		if len(f) >= 5 && f[3] == "/" && strings.HasPrefix(what, "cgroup2 ") {
			return unescapeMount(f[4]), true
		}
	}
	return "", false
}

// unescapeMount reads a path in which the kernel wrote some characters as a
// backslash and three octal digits.
func unescapeMount(text string) string {
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(text, `\`)
		b.WriteString(plain)
		if !found {
			return b.String()
		}
		n := min(3, len(rest))
		if c, err := strconv.ParseUint(rest[:n], 8, 8); err == nil {
			b.WriteByte(byte(c))
		}
		text = rest[n:]
	}
}
