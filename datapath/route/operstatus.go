// SPDX-License-Identifier: MIT

package route

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// OperStatus is the operational state of an interface: ifOperStatus of RFC
// 2863, which is also MsQuic's CXPLAT_OPERATION_STATUS.
type OperStatus uint8

const (
	OperUp             OperStatus = 1
	OperDown           OperStatus = 2
	OperTesting        OperStatus = 3
	OperUnknown        OperStatus = 4
	OperDormant        OperStatus = 5
	OperNotPresent     OperStatus = 6
	OperLowerLayerDown OperStatus = 7
)

// operStatuses translates the kernel's IF_OPER_ numbers (linux/if.h), which
// are those of RFC 2863 in another order.
var operStatuses = [...]OperStatus{
	0: OperUnknown,
	1: OperNotPresent,
	2: OperDown,
	3: OperLowerLayerDown,
	4: OperTesting,
	5: OperDormant,
	6: OperUp,
}

// operStatusOf returns the state of an interface from the kernel's state and
// the interface's IFF_ flags.
//
// An interface whose driver does not report states stays "unknown" for ever:
// loopback, TUN, many tunnels. There the flags tell: set up by the
// administrator, and with a carrier.
func operStatusOf(kernel uint8, flags uint32) OperStatus {
	const working = unix.IFF_UP | unix.IFF_LOWER_UP
	if int(kernel) >= len(operStatuses) {
		return OperUnknown
	}
	status := operStatuses[kernel]
	if status == OperUnknown && flags&working == working {
		return OperUp
	}
	return status
}

func (s OperStatus) String() string {
	names := [...]string{"", "up", "down", "testing", "unknown", "dormant", "notPresent", "lowerLayerDown"}
	if s == 0 || int(s) >= len(names) {
		return fmt.Sprintf("OperStatus(%d)", uint8(s))
	}
	return names[s]
}
