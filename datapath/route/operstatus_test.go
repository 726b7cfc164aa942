// SPDX-License-Identifier: MIT

package route

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The numbers are those of linux/if.h on the left and of RFC 2863 on the right.
func TestOperStatusOf(t *testing.T) {
	const working = unix.IFF_UP | unix.IFF_LOWER_UP
	for _, test := range []struct {
		kernel uint8
		flags  uint32
		want   OperStatus
	}{
		{0, 0, 4},
		{0, unix.IFF_UP, 4},
		{0, unix.IFF_LOWER_UP, 4},
		{0, working, 1},
		{0, working | unix.IFF_LOOPBACK, 1},
		{1, 0, 6},
		{2, 0, 2},
		{2, working, 2},
		{3, unix.IFF_UP, 7},
		{4, working, 3},
		{5, working, 5},
		{6, working, 1},
		{7, working, 4},
		{255, 0, 4},
	} {
		if got := operStatusOf(test.kernel, test.flags); got != test.want {
			t.Errorf("kernel state %d with flags %#x is %v, want %v", test.kernel, test.flags, got, test.want)
		}
	}
}

func TestOperStatusString(t *testing.T) {
	for s, want := range map[OperStatus]string{0: "OperStatus(0)", OperUp: "up", OperLowerLayerDown: "lowerLayerDown", 8: "OperStatus(8)"} {
		if got := s.String(); got != want {
			t.Errorf("%d is %q, want %q", uint8(s), got, want)
		}
	}
}
