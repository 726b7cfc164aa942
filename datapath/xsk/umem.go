// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Headroom is how many bytes the kernel leaves free at the start of a chunk, before
// [UMEM.Headroom] and the packet.
const Headroom = unix.XDP_PACKET_HEADROOM

// UMEM is memory for packets, as the kernel is to see it. All of it is fixed when
// the first socket of a queue is made.
type UMEM struct {
	Memory   []byte // page-aligned, mapped by the caller for as long as a socket uses it
	Chunk    uint32 // size of a chunk: 2048, or 4096 where pages are that large
	Headroom uint32 // more bytes to leave free before received packets

	// Metadata reserves [MetadataSize] bytes before packets to send for requests such
	// as [RequestChecksum]. SoftwareChecksum lets the kernel fulfil them itself: for tests.
	Metadata         bool
	SoftwareChecksum bool
}

// Chunks returns how many chunks there are.
func (u *UMEM) Chunks() uint32 { return uint32(uint64(len(u.Memory)) / uint64(u.Chunk)) }

// Packet returns the bytes that a descriptor names and the number of their chunk,
// or false if they do not lie within one chunk of the UMEM. The bytes may change at
// any time: copy them first, then read them.
func (u *UMEM) Packet(d Desc) (packet []byte, chunk uint32, ok bool) {
	inside := d.Addr & uint64(u.Chunk-1)
	if d.Addr >= uint64(len(u.Memory)) || inside+uint64(d.Len) > uint64(u.Chunk) {
		return nil, 0, false
	}
	end := d.Addr + uint64(d.Len)
	if end > uint64(len(u.Memory)) {
		return nil, 0, false
	}
	return u.Memory[d.Addr:end:end], uint32(d.Addr / uint64(u.Chunk)), true
}

// register makes the memory the UMEM of a socket.
func (u *UMEM) register(s *Socket) error {
	err := u.tryRegister(s)
	switch {
	case err == 0:
		return nil
	case err == unix.EINVAL && u.Metadata && !hasMetadata():
		return &UnsupportedError{Feature: "metadata of AF_XDP packets to send (XDP_UMEM_TX_METADATA_LEN)", Kernel: "6.11", Err: err}
	}
	return kerr.New("setsockopt", "XDP_UMEM_REG, "+u.String(), err, umemHint(err))
}

func (u *UMEM) tryRegister(s *Socket) unix.Errno {
	reg := unix.XDPUmemReg{
		Addr:     uint64(uintptr(unsafe.Pointer(unsafe.SliceData(u.Memory)))),
		Len:      uint64(len(u.Memory)),
		Size:     u.Chunk,
		Headroom: u.Headroom,
	}
	if u.Metadata {
		reg.Flags |= unix.XDP_UMEM_TX_METADATA_LEN
		reg.Tx_metadata_len = MetadataSize
	}
	if u.SoftwareChecksum {
		reg.Flags |= unix.XDP_UMEM_TX_SW_CSUM
	}
	// Safety: the kernel pins the pages, the caller keeps them mapped.
	err := setsockopt(s.fd, unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Sizeof(reg))
	runtime.KeepAlive(u.Memory)
	return err
}

// String describes the UMEM.
func (u *UMEM) String() string {
	return fmt.Sprintf("UMEM of %d bytes in chunks of %d with %d of headroom", len(u.Memory), u.Chunk, u.Headroom)
}

func (u *UMEM) check() error {
	if !powerOfTwo(u.Chunk) || u.Chunks() == 0 || uint64(len(u.Memory))%uint64(u.Chunk) != 0 {
		return fmt.Errorf("xsk: %s: must be whole chunks, of a power of two of bytes", u)
	}
	return nil
}
