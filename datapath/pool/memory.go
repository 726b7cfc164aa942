// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// memory is memory that members share: a memfd that can neither shrink nor grow, so
// that nobody takes pages away under the others.
type memory struct {
	fd    int
	bytes []byte
	huge  bool // it is of huge pages
}

// hugePage is the size of pages that packets are kept in where the administrator has
// set some aside (vm.nr_hugepages): fewer of them cover a pool than a CPU remembers.
const hugePage = 2 << 20

const memorySeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// newPackets makes memory for packets, of huge pages where there are enough. These cannot be
// had bit by bit, so it may be a little larger.
func newPackets(size int) (*memory, error) {
	m, err := makeMemory("packets", roundUp(size, hugePage), unix.MFD_HUGETLB|unix.MFD_HUGE_2MB)
	if err != nil { // mostly there are none
		return newMemory("packets", size)
	}
	m.huge = true
	return m, nil
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// newMemory makes size bytes of zeros.
func newMemory(name string, size int) (*memory, error) { return makeMemory(name, size, 0) }

func makeMemory(name string, size, flags int) (*memory, error) {
	fd, err := unix.MemfdCreate("msquicxdp-"+name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|flags)
	if err != nil {
		return nil, kerr.New("memfd_create", name, err, "")
	}
	m := &memory{fd: fd}
	err = kerr.New("ftruncate", fmt.Sprintf("memfd of %d bytes for %s", size, name), unix.Ftruncate(fd, int64(size)), "raise RLIMIT_FSIZE of the process")
	if err == nil {
		_, e := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, memorySeals)
		err = kerr.New("fcntl", "F_ADD_SEALS, "+name, e, "")
	}
	if err == nil {
		err = m.attach(size)
	}
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// adoptMemory maps what another member has made. The descriptor belongs to it.
func adoptMemory(fd, size int) (*memory, error) {
	m := &memory{fd: fd}
	size, err := m.verify(size)
	if err == nil {
		err = m.attach(size)
	}
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// verify refuses what could shrink, and returns how much there is: what is wanted, or more
// in huge pages.
func (m *memory) verify(want int) (size int, err error) {
	seals, err := unix.FcntlInt(uintptr(m.fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return 0, kerr.New("fcntl", "F_GET_SEALS", err, "another member has handed over what is no memfd")
	}
	var st unix.Stat_t
	if err := unix.Fstat(m.fd, &st); err != nil {
		return 0, kerr.New("fstat", "memfd", err, "")
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(m.fd, &fs); err != nil {
		return 0, kerr.New("fstatfs", "memfd", err, "")
	}
	if m.huge = fs.Type == unix.HUGETLBFS_MAGIC; m.huge {
		want = roundUp(want, hugePage)
	}
	if seals&memorySeals != memorySeals || st.Size != int64(want) {
		return 0, fmt.Errorf("pool: another member has handed over a memfd of %d bytes with seals %#x, where %d bytes with %#x are due", st.Size, seals, want, memorySeals)
	}
	return want, nil
}

// attach maps the memory, with all its pages: no data thread is to meet a page fault. A
// huge page that cannot be had is found out here, and not by a signal later.
func (m *memory) attach(size int) (err error) {
	m.bytes, err = unix.Mmap(m.fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return kerr.New("mmap", fmt.Sprintf("memfd of %d bytes", size), err, "")
	}
	err = unix.Madvise(m.bytes, unix.MADV_POPULATE_WRITE)
	if err == unix.EINVAL && !m.huge { // before Linux 5.14
		touch(m.bytes)
		return nil
	}
	return kerr.New("madvise", fmt.Sprintf("MADV_POPULATE_WRITE, memfd of %d bytes", size), err, "")
}

// touch makes the pages of memory be there.
func touch(b []byte) {
	for i := 0; i < len(b); i += 4096 {
		(*atomic.Uint32)(unsafe.Pointer(&b[i])).Add(0) // Safety: page-aligned; others may be writing
	}
}

func (m *memory) close() error {
	if m == nil {
		return nil
	}
	var err error
	if m.bytes != nil {
		err = kerr.New("munmap", "memfd", unix.Munmap(m.bytes), "")
	}
	return errors.Join(err, kerr.New("close", "memfd", unix.Close(m.fd), ""))
}

// seat is what the control block says of one place in the pool. Its owner writes it,
// and whoever has the lock of a seat whose owner is dead.
type seat struct {
	owner atomic.Uint32 // a tenure
	_     uint32
	turn  atomic.Uint64 // see type turn
	_     [48]byte      // a cache line for each
}

// control is the control block: all seats, then one word for each chunk to send,
// which package xsk defines.
type control struct {
	*memory
	seats   []seat
	flights []uint32
}

func controlSize(g *geometry) int {
	const page = 4096
	size := int(g.Members)*int(unsafe.Sizeof(seat{})) + int(g.sending())*4
	return (size + page - 1) &^ (page - 1)
}

// newControl looks at memory of controlSize bytes as a control block.
func newControl(m *memory, g *geometry) *control {
	seats := int(g.Members) * int(unsafe.Sizeof(seat{}))
	// Safety: the mapping is page-aligned and has controlSize bytes for as long as the pool is used.
	return &control{
		memory:  m,
		seats:   unsafe.Slice((*seat)(unsafe.Pointer(&m.bytes[0])), g.Members),
		flights: unsafe.Slice((*uint32)(unsafe.Pointer(&m.bytes[seats])), g.sending()),
	}
}
