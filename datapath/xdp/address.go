// SPDX-License-Identifier: MIT

package xdp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

// setAddr writes an address as MsQuic has it: IPv4 un-mapped, without scope.
func setAddr(a *batch.Addr, ip *frame.IP, port uint16) {
	*a = batch.Addr{Family: unix.AF_INET6, V6: *ip}
	a.Unmap()
	binary.BigEndian.PutUint16(a.Port[:], port)
}

func ipOf(a *batch.Addr) frame.IP {
	if a.Family == unix.AF_INET {
		return frame.From4(a.V4)
	}
	return frame.IP(a.V6)
}

func addrOf(a *batch.Addr) netip.Addr { return a.IP().Unmap() }
