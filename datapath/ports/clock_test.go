// SPDX-License-Identifier: MIT

package ports

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
)

// Processes whose clocks differ by years share a port, refuse each other, and take over from the dead as others do.
func TestClocksThatDiffer(t *testing.T) {
	r := newRoom(t)
	client := r.client()
	years := 50 * 365 * 24 * time.Hour
	aheads := map[string]time.Duration{"ahead": years, "behind": -netnstest.Clock() + time.Minute, "here": 0}
	children := map[string]*child{}
	for name, ahead := range aheads {
		c := r.start(name, who{ahead: ahead})
		if off := c.do(order{Do: "count"}).Clock - netnstest.Clock() - ahead; off.Abs() > time.Minute {
			t.Fatalf("the clock of %s is %v off", name, off)
		}
		children[name] = c
	}
	ids := map[string]int{"ahead": 1, "behind": 2, "here": 3}
	for name, id := range ids {
		children[name].acquire(id)
	}
	for range 2 {
		for name, id := range ids {
			children[name].killed()
			children[name] = r.start(name, who{ahead: aheads[name]})
			children[name].wantRefused(order{ID: id%3 + 1}, unix.EADDRINUSE)
			children[name].acquire(id)
			for name, id := range ids {
				client.wantAt(id, name)
			}
		}
	}
}
