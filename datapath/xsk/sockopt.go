// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// The calls below exist because package unix has none for these options, nor one
// for sendto and recvfrom that neither allocates nor tells the scheduler.

func setsockopt(fd, option int, value unsafe.Pointer, size uintptr) unix.Errno {
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(value), size, 0)
	return e
}

// getsockopt returns how many bytes the kernel wrote.
func getsockopt(fd, option int, value unsafe.Pointer, size uintptr) (uintptr, unix.Errno) {
	n := uint32(size)
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(value), uintptr(unsafe.Pointer(&n)), 0)
	return uintptr(n), e
}

// ZeroCopy reports whether the device itself reads and writes the UMEM.
func (s *Socket) ZeroCopy() (bool, error) {
	var options uint32
	if _, err := getsockopt(s.fd, unix.XDP_OPTIONS, unsafe.Pointer(&options), unsafe.Sizeof(options)); err != 0 {
		return false, kerr.New("getsockopt", fmt.Sprintf("XDP_OPTIONS of socket %d", s.fd), err, "")
	}
	return options&unix.XDP_OPTIONS_ZEROCOPY != 0, nil
}

// Statistics count what the kernel did not deliver or send, since the socket was
// made. The last two are of the queue's FILL and of TX: times that the kernel came for nothing.
type Statistics struct {
	RXDropped  uint64 // packets, for other reasons: no chunk, too long
	RXRingFull uint64 // packets
	RXInvalid  uint64 // addresses in FILL
	TXInvalid  uint64 // descriptors in TX
	FillEmpty  uint64
	TXEmpty    uint64
}

// Statistics reads the kernel's counters of the socket.
func (s *Socket) Statistics() (Statistics, error) {
	var k unix.XDPStatistics // what an older kernel does not write stays 0
	if _, err := getsockopt(s.fd, unix.XDP_STATISTICS, unsafe.Pointer(&k), unsafe.Sizeof(k)); err != 0 {
		return Statistics{}, kerr.New("getsockopt", fmt.Sprintf("XDP_STATISTICS of socket %d", s.fd), err, "")
	}
	return Statistics{
		RXDropped:  k.Rx_dropped,
		RXRingFull: k.Rx_ring_full,
		RXInvalid:  k.Rx_invalid_descs,
		TXInvalid:  k.Tx_invalid_descs,
		FillEmpty:  k.Rx_fill_ring_empty_descs,
		TXEmpty:    k.Tx_ring_empty_descs,
	}, nil
}

// setBudget limits how many packets one sendto sends; 0 leaves it to the kernel.
func (s *Socket) setBudget(packets uint32) error {
	if packets == 0 {
		return nil
	}
	err := setsockopt(s.fd, unix.XDP_MAX_TX_SKB_BUDGET, unsafe.Pointer(&packets), unsafe.Sizeof(packets))
	switch err {
	case 0:
		return nil
	case unix.ENOPROTOOPT:
		return &UnsupportedError{Feature: "a TX budget of one's own (XDP_MAX_TX_SKB_BUDGET)", Kernel: "6.17", Err: err}
	}
	return kerr.New("setsockopt", fmt.Sprintf("XDP_MAX_TX_SKB_BUDGET %d of socket %d", packets, s.fd), err, "at least 32, and not more than TX has entries")
}

// Transmit makes the kernel send what is in TX, within the call. Errors, as the
// kernel names them:
//
//	EAGAIN   there is more to send: the budget is used up, COMPLETION or a send buffer
//	         is full, or the device is busy; come back after other work
//	EBUSY    the device has dropped a packet: as good as sent
//	ENOBUFS  out of memory for now: come back later
//	ENETDOWN, ENXIO  the interface is down or gone
func (s *Socket) Transmit() unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return e
}

// Receive tells a kernel that sleeps of new chunks in FILL, and runs the device's
// receive side where busy polling is on. Errors are those of [Socket.Transmit].
func (s *Socket) Receive() unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return e
}
