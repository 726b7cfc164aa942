// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"testing"
	"time"
)

// A newcomer does not go round for long, and knows that it has not asked all.
func TestVisitEnds(t *testing.T) {
	r := enterRoom(t)
	dir := r.dir()
	r.broker(dir, nothing)
	r.broker(dir, nothing)
	refused := errors.New("no")
	asked := 0
	failures := visit(dir, "udp-4433", limit, func(*guest) error {
		asked++
		time.Sleep(visitTime + time.Millisecond)
		return refused
	})
	if asked != 1 || len(failures) != 2 || !errors.Is(failures[0], refused) || !errors.Is(failures[1], errSilent) {
		t.Errorf("asked %d: %v", asked, failures)
	}
	asked = 0
	failures = visit(dir, "udp-4433", limit, func(*guest) error {
		asked++
		return refused
	})
	if asked != 2 || len(failures) != 2 || errors.Is(failures[1], errSilent) {
		t.Errorf("asked %d: %v", asked, failures)
	}
}
