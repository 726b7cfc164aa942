// SPDX-License-Identifier: MIT

package reserve

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func TestFindCgroupTop(t *testing.T) {
	for _, test := range []struct {
		name, mounts, want string
	}{
		{"none", "22 1 0:5 / /proc rw - proc proc rw\n", ""},
		{"unified", "22 1 0:5 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup"},
		{"part of it", "30 23 0:26 /a /mnt rw - cgroup2 none rw\n31 23 0:26 / /top rw - cgroup2 none rw\n", "/top"},
		{"above the namespace", "30 23 0:26 /.. /mnt rw - cgroup2 none rw\n", ""},
		{"blank in the path", `30 23 0:26 / /a\040b\134 rw - cgroup2 none rw` + "\n", `/a b\`},
		{"version 1", "30 23 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw\n", ""},
		{"cut short", "30 23 - cgroup2", ""},
	} {
		if got, ok := findCgroupTop(test.mounts); got != test.want || ok != (test.want != "") {
			t.Errorf("%s: %q, %v", test.name, got, ok)
		}
	}
	netnstest.Require(t)
	inSandbox(t, func(b *sandbox) {
		top, err := cgroupTop()
		var st, child unix.Statfs_t
		if err != nil || unix.Statfs(top, &st) != nil || unix.Statfs(b.cgroup, &child) != nil || st.Type != child.Type {
			t.Errorf("%q, %v", top, err)
		}
	})
}
