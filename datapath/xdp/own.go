// SPDX-License-Identifier: MIT

package xdp

import (
	"net/netip"
	"sync/atomic"

	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

// ownAddresses are the addresses of this host. They are read without a lock.
type ownAddresses struct {
	known atomic.Pointer[map[frame.IP]struct{}]
}

func (o *ownAddresses) set(list []netip.Addr) {
	known := make(map[frame.IP]struct{}, len(list))
	for _, a := range list {
		known[a.As16()] = struct{}{}
	}
	o.known.Store(&known)
}

func (o *ownAddresses) has(a frame.IP) bool {
	known := o.known.Load()
	if known == nil {
		return false
	}
	_, has := (*known)[a]
	return has
}
