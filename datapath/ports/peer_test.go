// SPDX-License-Identifier: MIT

package ports

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

func TestPeer(t *testing.T) {
	r := enterRoom(t)
	var many []int
	for gid := range 300 {
		many = append(many, 70000+gid)
	}
	for _, groups := range [][]int{nil, {staff}, many} {
		rundirtest.As(t, r.ns, alice, groups, func() {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
			r.must(err)
			defer descriptors.CloseAll(pair[:])
			p, err := peerOfSocket(pair[0])
			r.must(err)
			want := []uint32{alice}
			for _, gid := range groups {
				want = append(want, uint32(gid))
			}
			slices.Sort(p.gids)
			if p.pid != unix.Getpid() || p.uid != alice || !slices.Equal(p.gids, want) {
				t.Errorf("%+v, want pid %d, uid %d, gids %v", p, unix.Getpid(), alice, want)
			}
		})
	}
	if _, err := peerOfSocket(0); err == nil {
		t.Error("the peer of no socket")
	}
}
