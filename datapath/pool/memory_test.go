// SPDX-License-Identifier: MIT

package pool

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Memory for packets is of huge pages, or of others where there are not enough; who adopts
// it finds out which. On a machine with huge pages this tests them.
func TestPackets(t *testing.T) {
	const size = 100 * chunkSize
	probe, err := makeMemory("probe", hugePage, unix.MFD_HUGETLB|unix.MFD_HUGE_2MB)
	_ = probe.close()
	m, newErr := newPackets(size)
	if newErr != nil {
		t.Fatal(newErr)
	}
	want := size
	if m.huge {
		want = hugePage
	}
	if m.huge != (err == nil) || len(m.bytes) != want {
		t.Errorf("%d bytes, huge: %v; a huge page: %v", len(m.bytes), m.huge, err)
	}
	fd, err := unix.Dup(m.fd)
	if err != nil {
		t.Fatal(err)
	}
	a, err := adoptMemory(fd, size)
	if err != nil {
		t.Fatal(err)
	}
	m.bytes[size-1] = 7
	if a.huge != m.huge || len(a.bytes) != want || a.bytes[size-1] != 7 {
		t.Errorf("adopted: %d bytes, huge: %v, %d at the end", len(a.bytes), a.huge, a.bytes[size-1])
	}
	if err := a.close(); err != nil {
		t.Error(err)
	}
	if err := m.close(); err != nil {
		t.Error(err)
	}
}

// More huge pages than anybody has are no failure.
func TestTooFewHugePages(t *testing.T) {
	if m, err := makeMemory("probe", 1<<50, unix.MFD_HUGETLB|unix.MFD_HUGE_2MB); err == nil {
		t.Errorf("a petabyte: %v", m.close())
	}
}
