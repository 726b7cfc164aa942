// SPDX-License-Identifier: MIT

package xsk

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Package unix allocates for sendto and recvfrom, and tells the scheduler of them.

// Transmit makes the kernel send what is in TX, within the call. Copy mode always
// needs it; else [Ring.NeedWakeup] of TX says when. 0 does not mean that TX is
// empty: see [Producer.Len]. The other results:
//
//	EAGAIN  there is more to send: the budget is used up, COMPLETION or the socket's
//	        send buffer is full, or the device is busy; come back after other work
//	EBUSY   the device has dropped a packet, and the descriptor is done with; there may be
//	        more to send
//	EINVAL  the metadata of the oldest descriptor in TX makes no sense, which keeps up
//	        all behind it: see [Socket.Withdraw]
//	ENOBUFS, ENOMEM  come back later
//	ENETDOWN, ENXIO  the interface is down, or gone
func (s *Socket) Transmit() unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return e
}

// Receive tells a kernel that sleeps of new chunks in FILL, where
// [SharedFill.NeedWakeup] says so, and runs the device's receive side where busy
// polling is on. Its results are those of [Socket.Transmit].
func (s *Socket) Receive() unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return e
}

// Withdraw takes [OptionMetadata] from the oldest descriptor in TX, so that its packet is
// sent as it stands and the kernel goes on. Metadata lies in the UMEM, where any
// member may write: one that is wrong would otherwise hold up its socket for ever.
// (Linux 6.18 completes such a descriptor each time that it refuses it: withdraw
// and transmit before the chunk is used again.)
func (s *Socket) Withdraw() {
	if s.TX.Len() > 0 {
		s.TX.at(atomic.LoadUint32(s.TX.consumer)).Options &^= OptionMetadata
	}
}
