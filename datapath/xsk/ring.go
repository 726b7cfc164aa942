// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Desc is an entry of an RX or TX ring, struct xdp_desc: a packet in the UMEM.
type Desc struct {
	Addr    uint64 // of the first byte, from the start of the UMEM
	Len     uint32 // in bytes
	Options uint32 // bits: [OptionContinued], [OptionMetadata]
}

// Entry is what a ring carries: descriptors in RX and TX, addresses of chunks in
// FILL and COMPLETION.
type Entry interface {
	Desc | uint64
}

// Ring is the memory of a ring: two indexes that run modulo 2^32, producer and
// consumer, a word of flags, and a power of two of entries. Producer minus
// consumer is how many entries are in it.
type Ring[E Entry] struct {
	producer, consumer, flags *uint32
	entries                   unsafe.Pointer
	size                      uint32
	mapping                   []byte // of the kernel's memory; nil over plain memory
}

// maxEntries is above anything that a kernel would give memory for, and keeps the
// lap numbers of [SharedFill] consistent where indexes wrap.
const maxEntries = 1 << 20

// indexStride keeps indexes on cache lines of their own, as the kernel does.
const indexStride = 64

// NewRing makes a ring over plain memory, empty, with no kernel behind it. size
// must be a power of two.
func NewRing[E Entry](size uint32) (*Ring[E], error) {
	if err := checkSize(size); err != nil {
		return nil, fmt.Errorf("xsk: %w", err)
	}
	head := make([]uint64, 3*indexStride/8)
	entries := make([]E, size)
	return &Ring[E]{
		producer: (*uint32)(unsafe.Pointer(&head[0])),
		consumer: (*uint32)(unsafe.Pointer(&head[indexStride/8])),
		flags:    (*uint32)(unsafe.Pointer(&head[2*indexStride/8])),
		entries:  unsafe.Pointer(&entries[0]),
		size:     size,
	}, nil
}

func checkSize(size uint32) error {
	if !powerOfTwo(size) || size > maxEntries {
		return fmt.Errorf("ring of %d entries: must be a power of two up to %d", size, maxEntries)
	}
	return nil
}

func powerOfTwo(n uint32) bool { return n != 0 && n&(n-1) == 0 }

// Size returns how many entries the ring has room for.
func (r *Ring[E]) Size() uint32 { return r.size }

// NeedWakeup reports whether the kernel sleeps until it is told of new entries, by
// [Socket.Transmit] for TX and [Socket.Receive] for FILL.
func (r *Ring[E]) NeedWakeup() bool {
	return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0
}

// at returns the entry at an index.
//
// Safety: the index is masked, and entries has size of them.
func (r *Ring[E]) at(index uint32) *E {
	var e E
	return (*E)(unsafe.Add(r.entries, uintptr(index&(r.size-1))*unsafe.Sizeof(e)))
}

// Pending appends the entries that are in the ring, oldest first, to dst. It only
// reads, so that it suits rings that others work on. What changes meanwhile may
// or may not be seen; an index that cannot be yields the newest entries.
func (r *Ring[E]) Pending(dst []E) []E {
	consumer := atomic.LoadUint32(r.consumer)
	producer := atomic.LoadUint32(r.producer)
	n := producer - consumer
	if int32(n) < 0 {
		return dst // overtaken between the two loads
	}
	for i := producer - min(n, r.size); i != producer; i++ {
		dst = append(dst, r.snapshot(i))
	}
	return dst
}

// snapshot reads an entry that others may be writing, its address at one stroke.
func (r *Ring[E]) snapshot(index uint32) (e E) {
	switch e := any(&e).(type) {
	case *uint64:
		*e = atomic.LoadUint64((*uint64)(unsafe.Pointer(r.at(index))))
	case *Desc:
		from := (*Desc)(unsafe.Pointer(r.at(index)))
		e.Addr = atomic.LoadUint64(&from.Addr)
		e.Len = atomic.LoadUint32(&from.Len)
		e.Options = atomic.LoadUint32(&from.Options)
	}
	return e
}

// unmap gives the mapping back. No verb may be called afterwards.
func (r *Ring[E]) unmap() error {
	if r == nil || r.mapping == nil {
		return nil
	}
	err := unix.Munmap(r.mapping)
	r.mapping = nil
	return err
}
