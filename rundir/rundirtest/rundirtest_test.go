// SPDX-License-Identifier: MIT

package rundirtest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

func TestAsAnotherUser(t *testing.T) {
	netnstest.CheckFDs(t)
	ns := netnstest.New(t)
	file := filepath.Join(TempDir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, groups := range [][]int{nil, {61100}} {
		As(t, ns, 61001, groups, func() {
			got, err := os.Getgroups()
			if os.Getuid() != 61001 || os.Getegid() != 61001 || err != nil || !slices.Equal(got, groups) {
				t.Errorf("uid %d, gid %d, groups %v, %v; want 61001, 61001, %v", os.Getuid(), os.Getegid(), got, err, groups)
			}
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
			if _, err := os.Open(file); !os.IsPermission(err) {
				t.Errorf("opened root's file: %v", err)
			}
		})
	}
	if os.Getuid() != 0 {
		t.Errorf("the process runs as uid %d now", os.Getuid())
	}
}
