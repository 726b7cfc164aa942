// SPDX-License-Identifier: MIT

package ports

import (
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
)

// What comes while a port is opened or joined reaches no socket for which it is
// not, at whichever socket it comes.
func TestNothingIsHeardBeforeTheSteering(t *testing.T) {
	for _, tier := range []string{"owned", "guarded", "unguarded"} {
		r := enterRoom(t)
		t.Setenv(TierEnv, tier)
		c := r.client()
		var sockets []int
		for id := range 2 {
			request, sent := member(id+1), 0
			request.Sockets = 4
			request.New = func() (int, error) {
				sent += len(c.send(9))
				return newSocket()
			}
			sockets = append(sockets, r.mustAcquire(request).TakeSockets()...)
			if sent == 0 {
				t.Error("nothing came")
			}
		}
		for _, fd := range sockets {
			if got := c.receive(fd, 0); got != "" {
				t.Errorf("%s: somebody got %.40q", tier, got)
			}
		}
		descriptors.CloseAll(sockets)
	}
}
