// SPDX-License-Identifier: MIT

package sockdiag

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOwnersFindsThisProcess(t *testing.T) {
	var pair [2]uint32
	for i := range pair {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			t.Fatal(err)
		}
		pair[i] = uint32(st.Ino)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	self := Owner{os.Getpid(), string(comm[:len(comm)-1])}
	const nobodys = 1 // an inode of no socket
	got := Owners(pair[0], pair[1], nobodys)
	if want := map[uint32]Owner{pair[0]: self, pair[1]: self}; !maps.Equal(got, want) {
		t.Errorf("owners are %v, want %v", got, want)
	}
}

// process fakes a process in a tree like /proc.
func process(t *testing.T, proc, pid, comm string, links ...string) {
	t.Helper()
	dir := filepath.Join(proc, pid, "fd")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proc, pid, "comm"), []byte(comm), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, link := range links {
		if err := os.Symlink(link, filepath.Join(dir, string(rune('0'+i)))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOwners(t *testing.T) {
	proc := t.TempDir()
	process(t, proc, "100", "child\n", "socket:[7]", "socket:[8]")
	process(t, proc, "20", "parent\n", "/dev/null", "socket:[7]")
	process(t, proc, "3", "", "pipe:[7]", "socket:[77]")
	process(t, proc, "101", "e\x1b[2J\tvil\xff\n", "socket:[9]")
	process(t, proc, "self", "link\n", "socket:[10]")
	want := map[uint32]Owner{
		7: {20, "parent"},
		8: {100, "child"},
		9: {101, "e?[2J?vil\ufffd"},
	}
	if got := owners(proc, []uint32{7, 8, 9, 10, 11}); !maps.Equal(got, want) {
		t.Errorf("owners are %v, want %v", got, want)
	}
	if got := owners(filepath.Join(proc, "absent"), []uint32{7}); len(got) != 0 {
		t.Errorf("owners without /proc are %v", got)
	}
}
