// SPDX-License-Identifier: MIT

package xsk

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// mapRings maps all rings of a bound socket, each through its own descriptor.
func (s *Socket) mapRings(c *Config) error {
	offsets, err := ringOffsets(s.fd)
	if err != nil {
		return err
	}
	const rw = unix.PROT_READ | unix.PROT_WRITE
	if c.RX != 0 {
		rx, err := mapRing[Desc](s.fd, "RX", unix.XDP_PGOFF_RX_RING, &offsets.Rx, c.RX, rw)
		if err != nil {
			return err
		}
		s.RX = NewConsumer(rx)
	}
	if c.TX != 0 {
		tx, err := mapRing[Desc](s.fd, "TX", unix.XDP_PGOFF_TX_RING, &offsets.Tx, c.TX, rw)
		if err != nil {
			return err
		}
		s.TX = NewProducer(tx)
	}
	if s.Fill, err = mapRing[uint64](s.fd, "FILL", unix.XDP_UMEM_PGOFF_FILL_RING, &offsets.Fr, c.Fill, rw); err != nil {
		return err
	}
	s.Completion, err = mapRing[uint64](s.fd, "COMPLETION", unix.XDP_UMEM_PGOFF_COMPLETION_RING, &offsets.Cr, c.Completion, rw)
	return err
}

func (s *Socket) unmapRings() error {
	var rx, tx *Ring[Desc]
	if s.RX != nil {
		rx = &s.RX.Ring
	}
	if s.TX != nil {
		tx = &s.TX.Ring
	}
	return errors.Join(rx.unmap(), tx.unmap(), s.Fill.unmap(), s.Completion.unmap())
}

// ringOffsets asks where in the rings' memory indexes and entries are.
func ringOffsets(fd int) (*unix.XDPMmapOffsets, error) {
	var offsets unix.XDPMmapOffsets
	n, err := getsockopt(fd, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&offsets), unsafe.Sizeof(offsets))
	switch {
	case err != 0:
		return nil, kerr.New("getsockopt", fmt.Sprintf("XDP_MMAP_OFFSETS of socket %d", fd), err, "is it an AF_XDP socket?")
	case n < unsafe.Sizeof(offsets): // the kernel's older, shorter structure, without flags
		return nil, &UnsupportedError{Feature: "need-wakeup flags in AF_XDP rings", Kernel: "5.4"}
	}
	return &offsets, nil
}

// mapRing maps a ring of size entries. The kernel refuses more than it has, up to
// the end of a page.
func mapRing[E Entry](fd int, name string, page int64, at *unix.XDPRingOffset, size uint32, protection int) (*Ring[E], error) {
	var e E
	if err := checkSize(size); err != nil {
		return nil, fmt.Errorf("xsk: %s %w", name, err)
	}
	length := at.Desc + uint64(size)*uint64(unsafe.Sizeof(e))
	memory, err := unix.Mmap(fd, page, int(length), protection, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, kerr.New("mmap", fmt.Sprintf("%s ring of %d entries of socket %d", name, size, fd), err, mmapHint(err))
	}
	// Safety: the offsets are the kernel's, and the length goes to the end of the entries.
	return &Ring[E]{
		producer: (*uint32)(unsafe.Pointer(&memory[at.Producer])),
		consumer: (*uint32)(unsafe.Pointer(&memory[at.Consumer])),
		flags:    (*uint32)(unsafe.Pointer(&memory[at.Flags])),
		entries:  unsafe.Pointer(&memory[at.Desc]),
		size:     size,
		mapping:  memory,
	}, nil
}

// View looks into the RX ring of a socket that somebody else works, without being able
// to change it.
type View struct {
	ring *Ring[Desc]
}

// ViewRX maps the RX ring of the socket behind fd, which has size entries, and does
// not keep fd. The socket may be another process's.
func ViewRX(fd int, size uint32) (*View, error) {
	offsets, err := ringOffsets(fd)
	if err != nil {
		return nil, err
	}
	ring, err := mapRing[Desc](fd, "RX", unix.XDP_PGOFF_RX_RING, &offsets.Rx, size, unix.PROT_READ)
	if err != nil {
		return nil, err
	}
	return &View{ring}, nil
}

// Pending appends the descriptors that the owner has not released to dst: see
// [Ring.Pending].
func (v *View) Pending(dst []Desc) []Desc { return v.ring.Pending(dst) }

// Close unmaps the ring; a second call does nothing.
func (v *View) Close() error { return v.ring.unmap() }
