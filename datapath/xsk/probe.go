// SPDX-License-Identifier: MIT

package xsk

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Features are what a kernel that has AF_XDP may have or not, whatever the interface.
type Features struct {
	Metadata bool // [UMEM.Metadata]: requests beside packets to send; since Linux 6.11
	TXBudget bool // [Config.TXBudget]; since Linux 6.17
}

// Probe finds out what the kernel has, by trying. It needs what [Create] needs, and no
// interface.
//
// Errors: [ErrPermission], [UnsupportedError] where there is no AF_XDP.
func Probe() (Features, error) {
	s, err := newSocket()
	if err != nil {
		return Features{}, err
	}
	metadata, err := s.probeMetadata()
	return Features{Metadata: metadata, TXBudget: s.probeBudget()}, errors.Join(err, s.Close())
}

// probeMetadata registers a UMEM that the socket keeps.
func (s *Socket) probeMetadata() (bool, error) {
	memory, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return false, kerr.New("mmap", "a page", err, "")
	}
	defer unix.Munmap(memory)
	u := &UMEM{Memory: memory, Chunk: 2048, Metadata: true}
	return u.tryRegister(s) == 0, nil
}

// probeBudget needs no TX ring: without one, a kernel that knows the option finds fault
// with that.
func (s *Socket) probeBudget() bool {
	packets := uint32(32)
	err := setsockopt(s.fd, unix.XDP_MAX_TX_SKB_BUDGET, unsafe.Pointer(&packets), unsafe.Sizeof(packets))
	return err != unix.ENOPROTOOPT
}

// hasMetadata is for those that have been refused it.
func hasMetadata() bool {
	f, err := Probe()
	return err != nil || f.Metadata
}
