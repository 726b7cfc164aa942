// SPDX-License-Identifier: MIT

package hold

import (
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Door is the way into one port. It lets our sockets in and keeps strangers out.
//
// The members belong to the caller. The door has the guard and the spares; a
// guarded port is guarded for as long as a door has the guard, this one or that
// of a process that adopted it.
//
// The methods may be called from any thread in the network namespace of the
// door. Processes that share a port must not call [Adopt] and [Door.Admit] at the
// same time, for one's probes and members are intruders to the other: the lock
// between them is the caller's.
type Door struct {
	mu    sync.Mutex
	o     Options         // Addr with the port that it got
	local netip.AddrPort  // as the members are bound; invalid before the first is
	shape shape           // of the members
	own   map[uint64]bool // cookies of the sockets that it has made
	tier  rules.Tier      // as proved

	sole    bool // its one member is without SO_REUSEPORT
	owned   bool // sockets are given to OwnerUID before they bind
	guarded bool // guard is one, and stays
	guard   int  // the first socket of the port, while it is needed, or -1
	spares  []int
}

func newDoor(o Options) *Door {
	return &Door{o: o, shape: newShape(o.Addr.Addr(), false, 0), own: map[uint64]bool{}, guard: -1}
}

// Addr returns the local address of the members.
func (d *Door) Addr() netip.AddrPort {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.local.IsValid() {
		return d.o.Addr
	}
	return d.local
}

// Tier returns how well the port is kept, as far as it was proved.
func (d *Door) Tier() rules.Tier {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tier
}

// Release closes what the door has, and is idempotent. The members stay open;
// with the last copy of its guard a port becomes unguarded.
func (d *Door) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dropGuard()
	descriptors.CloseAll(d.spares)
	d.spares = nil
}

func (d *Door) dropGuard() {
	if d.guard >= 0 {
		unix.Close(d.guard)
	}
	if d.guarded {
		d.tier = rules.Unguarded
	}
	d.guard, d.guarded = -1, false
}
