// SPDX-License-Identifier: MIT

// Package datapath is what is common to all kinds of sockets: what this host
// can do, and how the Go runtime is set up inside somebody else's process.
package datapath

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// CXPLAT_DATAPATH_FEATURES.
const (
	FeatureRecvCoalescing   = 0x2
	FeatureSendSegmentation = 0x4
	FeatureLocalPortSharing = 0x8
	FeaturePortReservations = 0x10
	FeatureTCP              = 0x20
	FeatureTTL              = 0x80
	FeatureSendDSCP         = 0x100
	FeatureRecvDSCP         = 0x200
)

// features is what [Features] found; 0 until it could ask.
var features atomic.Uint32

// Features returns what kernel sockets can do on this host. The kernel is asked
// once; a device that cannot segment after all is found out when it refuses.
func Features() uint32 {
	if f := features.Load(); f != 0 {
		return f
	}
	f := uint32(FeatureLocalPortSharing | FeaturePortReservations | FeatureTCP | FeatureTTL | FeatureSendDSCP | FeatureRecvDSCP)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return f // no descriptor to ask with, say: the next datapath asks again
	}
	defer unix.Close(fd)
	if unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, 1200) == nil {
		f |= FeatureSendSegmentation // Linux 4.18
	}
	if unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) == nil {
		f |= FeatureRecvCoalescing // Linux 5.0
	}
	features.Store(f)
	return f
}
