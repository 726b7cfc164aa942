// SPDX-License-Identifier: MIT

package pool

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
)

// joinOrBorrow makes a socket beside donor. Who may make none (CAP_NET_RAW) gets one from a
// member who may: it is bound to the queue, so nothing else can be done with it.
func (q *Queue) joinOrBorrow(donor int, c xsk.Config) (*xsk.Socket, error) {
	s, err := xsk.Join(donor, c)
	if !errors.Is(err, xsk.ErrPermission) {
		return s, err
	}
	a, lack := q.member.findBy(lend, q.topic)
	if lack != nil {
		return nil, fmt.Errorf("%w, and no member of the pool lends one: %w", err, lack)
	}
	if len(a.fds) != 1 {
		descriptors.CloseAll(a.fds)
		return nil, fmt.Errorf("%w, and another member has lent %d descriptors for one", err, len(a.fds))
	}
	return xsk.Adopt(a.fds[0], c)
}

// lend makes a socket in a pool for another member. The thread may be in another network
// namespace than the pool, if the process is in several: then there is nothing to lend.
func (m *Member) lend(t topic) (message, []int) {
	out := message{Kind: reply}
	donor, shape, err := m.donor(t)
	if err != nil {
		return out, nil
	}
	defer unix.Close(donor)
	s, err := withBudget(t, shape, func(c xsk.Config) (*xsk.Socket, error) { return xsk.Join(donor, c) })
	if err != nil {
		return out, nil
	}
	fds, err := descriptors.Duplicate([]int{s.FD()})
	if s.Close() == nil && err == nil {
		out.Found = 1
	}
	return out, fds
}

// donor copies the member's own socket in a pool.
func (m *Member) donor(t topic) (fd int, shape geometry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queues[t]
	if q == nil {
		return -1, geometry{}, errNobody
	}
	fd, err = unix.FcntlInt(uintptr(q.socket.FD()), unix.F_DUPFD_CLOEXEC, 0)
	return fd, q.shape, err
}
