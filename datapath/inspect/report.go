// SPDX-License-Identifier: MIT

package inspect

import (
	"slices"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/notice"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/portres"
)

// Report is what there is in a network namespace.
type Report struct {
	Interfaces []Interface // by index
	Members    []Member    // by slot
	Notices    []notice.Notice
	Claims     []portres.Held

	// Hidden says what could not be looked at, and why.
	Hidden []error
}

// Interface is an interface and who is on it.
type Interface struct {
	Index    int
	Name     string
	Up       bool
	Loopback bool
	Queues   int // receive queues that are in use; 0: not known

	Occupant classifier.Occupant // its XDP program, if any
	Ours     bool                // it is a classifier
	Rules    *Rules              // of the classifier; nil where it could not be looked at

	Pools []pool.ObservedPool // of its queues that are served
}

// Rules are what a classifier has, and has counted since it was made.
type Rules struct {
	Ports       []classifier.Port
	Identifiers []classifier.Identifier // by port and identifier
	Packets     classifier.Counters
	Slots       map[uint32]uint64 // packets redirected to each slot of a member or rule
}

// Member is a datapath that is in pools, or could be.
type Member struct {
	pool.Observed
	Program string    // of its process; "" where it cannot be seen
	Started time.Time // its process; zero where it cannot be seen
}

// Member returns the member in a slot, nil if there is none.
func (r *Report) Member(slot uint32) *Member {
	for i := range r.Members {
		if r.Members[i].Slot == slot {
			return &r.Members[i]
		}
	}
	return nil
}

// Only is the report about one interface, who serves it, and the claims that no interface
// serves; nil where there is no interface of that name.
func (r *Report) Only(name string) *Report {
	n := slices.IndexFunc(r.Interfaces, func(i Interface) bool { return i.Name == name })
	if n < 0 {
		return nil
	}
	only := &Report{Interfaces: r.Interfaces[n : n+1], Notices: r.Notices, Hidden: r.Hidden}
	for _, m := range r.Members {
		if only.Interfaces[0].seats(m.Slot) {
			only.Members = append(only.Members, m)
		}
	}
	for _, k := range r.KernelOnly() {
		only.Claims = append(only.Claims, k.Held)
	}
	return only
}

// seats reports whether a member has, or may have, a seat at a queue of the interface.
func (i *Interface) seats(slot uint32) bool {
	return slices.ContainsFunc(i.Pools, func(p pool.ObservedPool) bool { return p.Account == nil || p.Account.Seats(slot) })
}

// Served returns how many receive queues of the interface have a pool.
func (i *Interface) Served() (n int) {
	for _, p := range i.Pools {
		if i.Queues == 0 || p.Queue < i.Queues {
			n++
		}
	}
	return n
}

// InUse reports whether packets of the interface can reach an AF_XDP socket of ours.
func (i *Interface) InUse() bool { return i.Occupant.Program != 0 && i.Served() > 0 }

// Mapped reports whether members serve the interface in map mode: its XDP program is the
// application's own.
func (i *Interface) Mapped() bool { return i.InUse() && !i.Ours }
