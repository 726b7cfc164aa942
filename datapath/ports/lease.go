// SPDX-License-Identifier: MIT

package ports

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Lease is a port that a listener has.
type Lease struct {
	request Request
	most    *rules.Tier    // the strongest that the administrator wants; nil: any
	state   *rundir.Dir    // nil where there is none
	claim   *portres.Claim // nil without a state directory: the kernel alone keeps the port then

	mu     sync.Mutex // over door, which newcomers use too
	door   *hold.Door
	group  *steering.Group // nil unless the port is shared
	broker *broker
	tier   rules.Tier
	addr   netip.AddrPort

	sockets []int // until taken
	why     error // why there is less than was asked for
}

// Addr returns the local address, with the port that was chosen.
func (l *Lease) Addr() netip.AddrPort { return l.addr }

// Tier returns how well the kernel keeps foreign programs off the port.
func (l *Lease) Tier() rules.Tier { return l.tier }

// Shared reports whether other processes may join the port.
func (l *Lease) Shared() bool { return l.group != nil }

// Shortfall returns what could not be had and why: a CIBIR listener serves its
// port alone, or no other process can see the claim. It is nil where nothing is
// missing.
func (l *Lease) Shortfall() error { return l.why }

// TakeSockets returns the bound sockets of the listener, Request.Sockets of them,
// in the order in which the kernel numbers them. They are the caller's.
func (l *Lease) TakeSockets() []int {
	taken := l.sockets
	l.sockets = nil
	return taken
}

// Release gives the port back. The caller has closed its sockets. A second call
// does nothing.
func (l *Lease) Release() {
	l.broker.close() // first: who comes now would join somebody who leaves
	l.broker = nil
	l.mu.Lock()
	defer l.mu.Unlock()
	closeAll(l.sockets)
	l.sockets = nil
	if l.group != nil {
		// Its sockets are closed, so what stays if this fails leads to nobody.
		_ = l.group.Withdraw(l.claim.Slot(), l.request.ID)
		l.group.Close()
		l.group = nil
	}
	if l.door != nil {
		l.door.Release()
		l.door = nil
	}
	if l.claim != nil {
		_ = l.claim.Release() // closing the file, which this does, ends every lock
		l.claim = nil
	}
	if l.state != nil {
		l.state.Close()
		l.state = nil
	}
}

// deaf lets a socket drop whatever comes, from before it is bound until the
// steering decides what comes: a datagram must not reach it by the kernel's hash.
func deaf(fd int) error {
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	return kerr.New("setsockopt", "SO_ATTACH_FILTER", err, "")
}

// hear ends that. A socket that another process has handed over may hear already.
func hear(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	if err == unix.ENOENT {
		err = nil
	}
	return kerr.New("setsockopt", "SO_DETACH_FILTER", err, "")
}
