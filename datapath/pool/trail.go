// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// trail looks at a ring, without being able to change it, for what nobody who only
// works the ring needs: where its indexes are, and what was in it.
type trail struct {
	memory             []byte
	producer, consumer *uint32
	entries            []uint64 // of FILL; else nil
}

// trailOfFill looks at the FILL ring of the queue to which a socket is bound.
func trailOfFill(socket int, size uint32) (*trail, error) {
	offsets, err := ringOffsets(socket)
	if err != nil {
		return nil, err
	}
	at := &offsets.Fr
	t, err := mapTrail(socket, unix.XDP_UMEM_PGOFF_FILL_RING, at, at.Desc+8*uint64(size))
	if err == nil {
		// Safety: the mapping goes to the end of the entries, which the kernel aligns.
		t.entries = unsafe.Slice((*uint64)(unsafe.Pointer(&t.memory[at.Desc])), size)
	}
	return t, err
}

// trailOfRX looks at the RX ring of a socket.
func trailOfRX(socket int) (*trail, error) {
	offsets, err := ringOffsets(socket)
	if err != nil {
		return nil, err
	}
	return mapTrail(socket, unix.XDP_PGOFF_RX_RING, &offsets.Rx, offsets.Rx.Desc)
}

func ringOffsets(socket int) (*unix.XDPMmapOffsets, error) {
	var offsets unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(offsets))
	// Safety: the kernel writes at most size bytes.
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(socket), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&offsets)), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return nil, kerr.New("getsockopt", fmt.Sprintf("XDP_MMAP_OFFSETS of descriptor %d", socket), e, "is it an AF_XDP socket?")
	}
	return &offsets, nil
}

func mapTrail(socket int, page int64, at *unix.XDPRingOffset, length uint64) (*trail, error) {
	memory, err := unix.Mmap(socket, page, int(length), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, kerr.New("mmap", fmt.Sprintf("%d bytes of a ring of socket %d", length, socket), err, "")
	}
	// Safety: the offsets are the kernel's, and the indexes are before the entries.
	return &trail{
		memory:   memory,
		producer: (*uint32)(unsafe.Pointer(&memory[at.Producer])),
		consumer: (*uint32)(unsafe.Pointer(&memory[at.Consumer])),
	}, nil
}

// put is how many entries have been put into the ring, modulo 2^32.
func (t *trail) put() uint32 { return atomic.LoadUint32(t.producer) }

// taken is how many entries have been taken out, as far as that has been said, modulo 2^32.
func (t *trail) taken() uint32 { return atomic.LoadUint32(t.consumer) }

// since appends the chunks that were put into FILL at an index, as put returned it, or
// later, to dst; of more than the ring has entries, the latest. The kernel leaves the
// entries that it takes where they are, so whether it has does not matter.
func (t *trail) since(index uint32, dst []uint64) []uint64 {
	end := t.put()
	n := min(end-index, uint32(len(t.entries)))
	for p := end - n; p != end; p++ {
		entry := atomic.LoadUint64(&t.entries[p&uint32(len(t.entries)-1)])
		dst = append(dst, entry&^(chunkSize-1))
	}
	return dst
}

func (t *trail) close() error {
	if t == nil || t.memory == nil {
		return nil
	}
	err := kerr.New("munmap", "ring", unix.Munmap(t.memory), "")
	t.memory = nil
	return err
}

// sibling is the socket of another member of the pool.
type sibling struct {
	fd     int
	in     int // the map in which it is, of a Scattered program; else -1
	seat   uint32
	tenure tenure
	ring   *xsk.View // its RX ring
	trail  *trail    // of its RX ring
}

// newSibling looks at a socket whose RX ring has size entries. The descriptors belong to it.
func newSibling(of socketOf, size uint32) (*sibling, error) {
	s := &sibling{fd: of.fd, in: of.in, seat: of.Seat, tenure: of.Tenure}
	var err error
	if s.ring, err = xsk.ViewRX(s.fd, size); err == nil {
		s.trail, err = trailOfRX(s.fd)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *sibling) close() error {
	err := s.trail.close()
	if s.ring != nil {
		err = errors.Join(err, s.ring.Close())
	}
	if s.in >= 0 {
		err = errors.Join(err, kerr.New("close", "map of another member", unix.Close(s.in), ""))
	}
	return errors.Join(err, kerr.New("close", "AF_XDP socket of another member", unix.Close(s.fd), ""))
}
