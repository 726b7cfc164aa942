// SPDX-License-Identifier: MIT

package ports

import (
	"testing"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

func TestSmoke(t *testing.T) {
	r := newRoom(t)
	a, b := r.start("a", who{}), r.start("b", who{})
	ra := a.acquire(1)
	rb := b.acquire(2)
	t.Logf("%+v %+v", ra, rb)
	if ra.Tier != rules.Owned || !ra.Shared {
		t.Error(ra)
	}
	c := r.client()
	c.wantAt(1, "a")
	c.wantAt(2, "b")
	c.wantNobody(3)
	a.killed()
	c.wantAt(2, "b")
	c.wantNobody(1)
	t.Log(r.sockets())
}
