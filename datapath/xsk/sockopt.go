// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Package unix has no calls for these options.

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
func (s *Socket) ZeroCopy() (bool, error) { return ZeroCopyOf(s.fd) }

// ZeroCopyOf is [Socket.ZeroCopy] of a socket that another process may have made.
func ZeroCopyOf(fd int) (bool, error) {
	var options uint32
	if _, err := getsockopt(fd, unix.XDP_OPTIONS, unsafe.Pointer(&options), unsafe.Sizeof(options)); err != 0 {
		return false, kerr.New("getsockopt", fmt.Sprintf("XDP_OPTIONS of socket %d", fd), err, "")
	}
	return options&unix.XDP_OPTIONS_ZEROCOPY != 0, nil
}

// Statistics count what the kernel did not deliver or send, since the socket was
// made. (Linux reports invalid addresses in FILL too, and never counts them.)
type Statistics struct {
	RXRingFull uint64 // packets for which there was no room in RX
	RXDropped  uint64 // packets dropped for other reasons: no chunk, too long for one
	FillEmpty  uint64 // times that the kernel found nothing in FILL, whose ever packet it was
	TXInvalid  uint64 // descriptors in TX that do not lie in one chunk, or are empty
	TXEmpty    uint64 // times that the kernel found nothing in TX
}

// Statistics reads the kernel's counters of the socket.
func (s *Socket) Statistics() (Statistics, error) { return StatisticsOf(s.fd) }

// StatisticsOf is [Socket.Statistics] of a socket that another process may have made.
func StatisticsOf(fd int) (Statistics, error) {
	var k unix.XDPStatistics // what an older kernel does not write stays 0
	if _, err := getsockopt(fd, unix.XDP_STATISTICS, unsafe.Pointer(&k), unsafe.Sizeof(k)); err != 0 {
		return Statistics{}, kerr.New("getsockopt", fmt.Sprintf("XDP_STATISTICS of socket %d", fd), err, "")
	}
	return Statistics{
		RXRingFull: k.Rx_ring_full,
		RXDropped:  k.Rx_dropped,
		FillEmpty:  k.Rx_fill_ring_empty_descs,
		TXInvalid:  k.Tx_invalid_descs,
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
		return &UnsupportedError{Feature: "a TX budget of a socket's own (XDP_MAX_TX_SKB_BUDGET)", Kernel: "6.17", Err: err}
	}
	return kerr.New("setsockopt", fmt.Sprintf("XDP_MAX_TX_SKB_BUDGET %d of socket %d", packets, s.fd), err, "at least 32, and not more than TX has entries")
}
