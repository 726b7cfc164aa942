// SPDX-License-Identifier: MIT

// Package ethtool asks drivers about their devices.
package ethtool

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// channels is struct ethtool_channels of linux/ethtool.h.
type channels struct {
	command                                uint32
	maxRX, maxTX, maxOther, maxCombined    uint32
	rxCount, txCount, otherCount, combined uint32
}

const getChannels = 0x3c // ETHTOOL_GCHANNELS

// ReceiveQueues returns how many receive queues an interface of the calling thread's
// network namespace has now; 0 where its driver does not say. It needs no privilege.
func ReceiveQueues(name string) int {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	c := channels{command: getChannels}
	var request struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	request.data = unsafe.Pointer(&c)
	// Safety: the kernel reads and writes the struct behind data, of the size that it knows for the command.
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(&c)
	if errno != 0 {
		return 0
	}
	return int(c.rxCount + c.combined)
}
