// SPDX-License-Identifier: MIT

package blocktest

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// junk is what memory holds before it is written. As a pointer it leads nowhere.
const junk = 0xa5

// NewRx makes a receive block whose datagrams have context bytes for the
// client. It is unmapped when the test ends.
func NewRx(t testing.TB, context uint32) *batch.Rx {
	t.Helper()
	b, unmap := newRx(t, context)
	t.Cleanup(unmap)
	return b
}

func newRx(t testing.TB, context uint32) (b *batch.Rx, unmap func()) {
	t.Helper()
	stride := rxStride(context)
	mem, unmap := mapped(t, rxSize(context))
	for i := range mem {
		mem[i] = junk
	}
	// Safety: mem has the size of the block and of all that follows it.
	b = (*batch.Rx)(unsafe.Pointer(&mem[0]))
	b.Next, b.Pool = nil, nil
	b.Stride = stride
	b.Slots = unsafe.Pointer(&mem[slotsOffset])
	b.Buffer = unsafe.Pointer(&mem[bufferOffset(stride)])
	b.Iov = unix.Iovec{Base: (*byte)(b.Buffer), Len: batch.IOBuffer}
	return b, unmap
}

// The layout of capi/recv.c: the block, its slots, its buffer.

const slotsOffset = (unsafe.Sizeof(batch.Rx{}) + 63) &^ 63

func rxStride(context uint32) uint32 {
	return alignUp(uint32(unsafe.Sizeof(batch.RxSlot{}))+context, 16)
}

func bufferOffset(stride uint32) uint32 {
	return alignUp(uint32(slotsOffset)+batch.RxSlots*stride, 64)
}

func rxSize(context uint32) uint32 { return bufferOffset(rxStride(context)) + batch.IOBuffer }

func alignUp(n, to uint32) uint32 { return (n + to - 1) / to * to }

// mapped returns memory that ends where an inaccessible page begins.
func mapped(t testing.TB, size uint32) (mem []byte, unmap func()) {
	t.Helper()
	page := os.Getpagesize()
	room := int(alignUp(size, uint32(page)))
	all, err := unix.Mmap(-1, 0, room+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatalf("mmap(%d): %v", room+page, err)
	}
	if err := unix.Mprotect(all[room:], unix.PROT_NONE); err != nil {
		t.Fatalf("mprotect(PROT_NONE): %v", err)
	}
	return all[room-int(size) : room : room], func() { unix.Munmap(all) }
}
