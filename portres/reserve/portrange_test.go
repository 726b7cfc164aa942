// SPDX-License-Identifier: MIT

package reserve

import (
	"testing"
)

func TestRange(t *testing.T) {
	r := udp(4433, 8)
	if r.Last() != 4440 || r.String() != "udp 4433-4440" || udp(1, 1).String() != "udp 1" {
		t.Errorf("last %d, text %q and %q", r.Last(), r, udp(1, 1))
	}
	for _, test := range []struct {
		other           Range
		overlaps, isOne bool // isOne: r contains the first port of other
	}{
		{udp(4433, 8), true, true},
		{udp(4440, 1), true, true},
		{udp(4440, 100), true, true},
		{udp(1, 65535), true, false},
		{udp(4432, 1), false, false},
		{udp(4441, 1), false, false},
		{udp(65535, 1), false, false},
		{tcp(4433, 8), false, false},
	} {
		if got := r.Overlaps(test.other); got != test.overlaps || got != test.other.Overlaps(r) {
			t.Errorf("%v overlaps %v: %v, and the other way %v", r, test.other, got, test.other.Overlaps(r))
		}
		if got := r.Contains(test.other.Proto, test.other.Start); got != test.isOne {
			t.Errorf("%v contains %v %d: %v", r, test.other.Proto, test.other.Start, got)
		}
	}
}
