// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// What the kernel says by its version must agree with what it does.
func TestProbe(t *testing.T) {
	netnstest.Require(t)
	netnstest.CheckFDs(t)
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	has, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		feature      string
		has          bool
		major, minor int
	}{{"metadata", has.Metadata, 6, 11}, {"TX budget", has.TXBudget, 6, 17}} {
		if !test.has && (major > test.major || major == test.major && minor >= test.minor) {
			t.Errorf("Linux %d.%d has no %s", major, minor, test.feature)
		}
	}
}
