// SPDX-License-Identifier: MIT

package inspect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/portres"
)

// Verdict answers in one sentence whether XDP is in use, and if not why.
type Verdict struct {
	InUse    bool
	Sentence string
	Warnings []string // what is not as it should be although it is in use; or further reasons
}

// lostChunks is how many chunks of a pool can be on their way through the processors' hands
// while packets come. More are lost.
const lostChunks = 64

// Verdict judges the report.
func (r *Report) Verdict() Verdict {
	var used []string
	for n := range r.Interfaces {
		if i := &r.Interfaces[n]; i.InUse() {
			used = append(used, i.describe())
		}
	}
	if len(used) > 0 {
		members := fmt.Sprintf("%d members", r.seated())
		if r.seated() == 1 {
			members = "1 member"
		}
		return Verdict{true, fmt.Sprintf("XDP is in use on %s, by %s", strings.Join(used, ", "), members), r.warnings()}
	}
	reasons := append(r.reasons(), r.warnings()...)
	return Verdict{false, "XDP is not in use: " + reasons[0], reasons[1:]}
}

// describe says how an interface is used.
func (i *Interface) describe() string {
	served := fmt.Sprintf("%d of %d queues", i.Served(), i.Queues)
	if i.Queues == 0 {
		served = fmt.Sprintf("%d queues", i.Served())
	}
	if i.Mapped() && i.Occupant.Name != "" {
		served += ", by the application's own program " + i.Occupant.Name
	}
	return fmt.Sprintf("%s (%v, %s, %s)", i.Name, i.Occupant.Mode, i.Copying(), served)
}

// Copying says whether the device itself reads and writes the packets.
func (i *Interface) Copying() string {
	var kinds []string
	for _, p := range i.Pools {
		if k := CopyingOf(&p); k != "" && !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) == 0 {
		return "unknown copy mode"
	}
	return strings.Join(kinds, " and ")
}

// CopyingOf is "copy" or "zero-copy"; "" where no member told of the pool.
func CopyingOf(p *pool.ObservedPool) string {
	if p.Account == nil {
		return ""
	}
	for _, s := range p.Account.Sockets {
		if s.Known && s.ZeroCopy {
			return "zero-copy"
		}
	}
	return "copy"
}

// seated counts the members that have a seat in a pool.
func (r *Report) seated() int {
	slots := map[int]bool{}
	most := 0 // of a pool of which nobody tells
	for _, i := range r.Interfaces {
		for _, p := range i.Pools {
			most = max(most, p.Seats)
			if p.Account != nil {
				for _, s := range p.Account.Census.Seats {
					slots[s.Slot] = true
				}
			}
		}
	}
	return max(len(slots), most)
}

// reasons say why XDP is not in use. There is one at least.
func (r *Report) reasons() (list []string) {
	for _, n := range r.Notices {
		for _, reason := range n.Reasons {
			list = append(list, fmt.Sprintf("%s (pid %d): %s", n.Program, n.PID, reason))
		}
	}
	if len(list) > 0 {
		return list
	}
	if len(r.Hidden) > 0 {
		return []string{"as far as can be seen: " + r.Hidden[0].Error()}
	}
	for _, i := range r.Interfaces {
		if i.Ours && len(i.Pools) == 0 {
			list = append(list, fmt.Sprintf("the classifier on %s has no members here: "+
				"are they in another state directory, or is their last one just going?", i.Name))
		}
	}
	if len(r.Members) > 0 {
		list = append(list, fmt.Sprintf("%d members are there, and none serves a queue", len(r.Members)))
	}
	if len(list) > 0 {
		return list
	}
	if slices.ContainsFunc(r.Claims, func(c portres.Held) bool { return c.Party.XDP }) {
		return []string{"a process asks for it, and has not said why it has none"}
	}
	return []string{"no process asks for it"}
}

// warnings tell of what is not as it should be.
func (r *Report) warnings() (list []string) {
	for _, m := range r.Members {
		if m.Err != nil {
			list = append(list, fmt.Sprintf("slot %d, %s: %v", m.Slot, m.name(), m.Err))
		}
	}
	for _, i := range r.Interfaces {
		if !i.InUse() {
			continue
		}
		if i.Served() < i.Queues {
			list = append(list, fmt.Sprintf("%s: %d of %d receive queues are served; what comes by the others goes to kernel sockets", i.Name, i.Served(), i.Queues))
		}
		for _, p := range i.Pools {
			if p.Account != nil && p.Account.Census.Missing > lostChunks {
				list = append(list, fmt.Sprintf("%s queue %d: %d frames are missing", i.Name, p.Queue, p.Account.Census.Missing))
			}
		}
	}
	if !r.inUse() {
		return list
	}
	for _, n := range r.Notices { // they have not got all
		for _, reason := range n.Reasons {
			list = append(list, fmt.Sprintf("%s (pid %d): %s", n.Program, n.PID, reason))
		}
	}
	return list
}

func (r *Report) inUse() bool {
	return slices.ContainsFunc(r.Interfaces, func(i Interface) bool { return i.InUse() })
}

// name names the process of a member.
func (m *Member) name() string {
	switch {
	case m.PID == 0:
		return "process unknown"
	case m.Program == "":
		return fmt.Sprintf("pid %d", m.PID)
	}
	return fmt.Sprintf("%s (pid %d)", m.Program, m.PID)
}

// Stopped reports whether the member does not answer.
func (m *Member) Stopped() bool { return errors.Is(m.Err, pool.ErrSilent) }
