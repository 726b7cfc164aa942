// SPDX-License-Identifier: MIT

package ports

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/reserve"
)

// grant is what a newcomer gets.
type grant struct {
	fds   []int
	given bool // the member closes its copies of fds when they have been sent
	owned bool // the sockets of the port belong to hold.OwnerUID
}

// answer serves a newcomer. Who asks is at the door, so the member is there too.
func (l *Lease) answer(p peer, q question) (grant, error) {
	if !l.admits(p) {
		return grant{}, kerr.New("join", fmt.Sprintf("user %d, at a port of user %d", p.uid, unix.Geteuid()), unix.EACCES,
			"a reservation for sharing can permit it")
	}
	switch q.Op {
	case opJoin:
		parts, handover := l.group.FDs(), l.door.Handover()
		return grant{fds: append(parts[:], handover.FDs...), owned: handover.Owned}, nil
	case opSockets:
		if q.Count == 0 || q.Count > steering.MaxSockets {
			return grant{}, kerr.New("join", fmt.Sprintf("%d sockets", q.Count), unix.EINVAL, fmt.Sprintf("1 to %d are given", steering.MaxSockets))
		}
		fds, err := l.door.Admit(int(q.Count))
		return grant{fds: fds, given: true}, err
	}
	return grant{}, kerr.New("join", fmt.Sprintf("operation %d", q.Op), unix.EOPNOTSUPP, "")
}

// admits reports whether a process may join: one of the same user, or one that
// a reservation of the port permits.
func (l *Lease) admits(p peer) bool {
	if p.uid == uint32(unix.Geteuid()) {
		return true
	}
	r, err := reserve.For(l.request.Proto, l.port(), p.uid, p.gids)
	return err == nil && r != nil && r.Permitted && !r.Exclusive
}
