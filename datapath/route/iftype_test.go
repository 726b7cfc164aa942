// SPDX-License-Identifier: MIT

package route

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The right column is the IANA's registry, not our names.
func TestIfTypeOf(t *testing.T) {
	for arphrd, want := range map[uint16]IfType{
		unix.ARPHRD_LOOPBACK:   24,
		unix.ARPHRD_ETHER:      6,
		unix.ARPHRD_PPP:        23,
		unix.ARPHRD_SLIP:       28,
		unix.ARPHRD_TUNNEL:     131,
		unix.ARPHRD_TUNNEL6:    131,
		unix.ARPHRD_SIT:        131,
		unix.ARPHRD_IPGRE:      131,
		unix.ARPHRD_IP6GRE:     131,
		unix.ARPHRD_IEEE80211:  71,
		unix.ARPHRD_IEEE1394:   144,
		unix.ARPHRD_INFINIBAND: 199,
		unix.ARPHRD_FDDI:       15,
		unix.ARPHRD_NONE:       1,
		unix.ARPHRD_VOID:       1,
		0:                      1,
	} {
		if got := ifTypeOf(arphrd); got != want {
			t.Errorf("ARPHRD %d is %d, want %d", arphrd, got, want)
		}
	}
}
