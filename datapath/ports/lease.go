// SPDX-License-Identifier: MIT

package ports

import (
	"net/netip"

	"github.com/msquicxdp/msquicxdp/datapath/steering"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Lease is a port that a listener has. Its methods are for one thread at a time.
type Lease struct {
	request Request
	most    *rules.Tier    // the strongest that the administrator wants; nil: any
	state   *rundir.Dir    // nil where there is none
	claim   *portres.Claim // nil without a state directory: the kernel alone keeps the port then

	// What keeps the port in the kernel. Newcomers use it too, while the broker lives.
	door   *hold.Door
	group  *steering.Group // nil unless the port is shared
	broker *broker

	tier    rules.Tier
	addr    netip.AddrPort
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
	l.vacate()
	l.unclaim()
	if l.state != nil {
		l.state.Close()
		l.state = nil
	}
}

// vacate gives up what the lease has in the kernel.
func (l *Lease) vacate() {
	l.broker.close() // first: who comes now would join somebody who leaves
	l.broker = nil
	descriptors.CloseAll(l.TakeSockets())
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
}

func (l *Lease) unclaim() {
	if l.claim != nil {
		_ = l.claim.Release() // closing the file, which this does, ends every lock
		l.claim = nil
	}
}
