// SPDX-License-Identifier: MIT

package inspect

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/ethtool"
	"github.com/msquicxdp/msquicxdp/datapath/notice"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Look looks at the network namespace of the calling thread. base is the base of state
// directories, "" as for [rundir.Open].
//
// It needs to be root, or a user who may make claims in the state directory; what it may not
// see otherwise is in [Report.Hidden]. It fails only where the kernel does not tell of interfaces.
func Look(base string) (*Report, error) {
	r := &Report{}
	if err := r.findInterfaces(); err != nil {
		return nil, err
	}
	r.lookAtState(base)
	for i := range r.Interfaces {
		r.lookAtProgram(&r.Interfaces[i])
	}
	return r, nil
}

// hide notes what could not be seen.
func (r *Report) hide(what string, err error) {
	if err != nil {
		r.Hidden = append(r.Hidden, fmt.Errorf("%s: %w", what, err))
	}
}

func (r *Report) findInterfaces() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return kerr.New("socket", "AF_NETLINK, NETLINK_ROUTE", err, "")
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // it changes: what was found is as good
		return kerr.New("RTM_GETLINK", "all", err, "")
	}
	for _, l := range links {
		a := l.Attrs()
		i := Interface{
			Index: a.Index, Name: a.Name,
			Up: a.Flags&net.FlagUp != 0, Loopback: a.Flags&net.FlagLoopback != 0,
		}
		if i.Queues, err = ethtool.Queues(a.Name); err != nil && !i.Loopback { // its driver does not tell
			i.Queues = a.NumRxQueues
		}
		if i.Occupant, err = classifier.On(a.Index); err != nil {
			continue // it has gone meanwhile
		}
		i.Ours = i.Occupant.Ours()
		r.Interfaces = append(r.Interfaces, i)
	}
	slices.SortFunc(r.Interfaces, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return nil
}

// lookAtState reads what processes have left in the state directory.
func (r *Report) lookAtState(base string) {
	dir, err := rundir.Find(base)
	if errors.Is(err, os.ErrNotExist) { // so nobody has been here
		return
	}
	if err != nil {
		r.hide("processes", err)
		return
	}
	defer dir.Close()
	v, err := pool.Observe(dir)
	r.hide("members", err)
	for _, m := range v.Members {
		program, started := process(m.PID)
		r.Members = append(r.Members, Member{m, program, started})
	}
	for _, p := range v.Pools {
		for i := range r.Interfaces {
			if r.Interfaces[i].Index == p.Ifindex {
				r.Interfaces[i].Pools = append(r.Interfaces[i].Pools, p)
			}
		}
	}
	r.Notices, err = notice.List(dir)
	r.hide("notices", err)
	r.Claims, err = portres.List(dir)
	r.hide("claims", err)
}

// lookAtProgram reads the maps of a classifier.
func (r *Report) lookAtProgram(i *Interface) {
	if i.Occupant.Program == 0 || i.Occupant.Name != "" && !i.Ours {
		return
	}
	c, err := classifier.Look(i.Occupant.Program)
	if err != nil {
		r.hide("the XDP program of "+i.Name, err)
		return
	}
	defer c.Close()
	i.Ours = true
	rules, err := r.read(c)
	if err != nil {
		r.hide("the rules on "+i.Name, err)
		return
	}
	i.Rules = rules
}

func (r *Report) read(c *classifier.Classifier) (*Rules, error) {
	rules := &Rules{Slots: map[uint32]uint64{}}
	var errs [3]error
	rules.Ports, errs[0] = c.Ports()
	rules.Identifiers, errs[1] = c.Identifiers()
	rules.Packets, _, errs[2] = c.Counters()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	slices.SortFunc(rules.Identifiers, func(a, b classifier.Identifier) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), bytes.Compare(a.ID.Bytes(), b.ID.Bytes()))
	})
	slots := map[uint32]bool{}
	for _, m := range r.Members {
		slots[m.Slot] = true
	}
	for _, p := range rules.Ports {
		if !p.Rule.Shared {
			slots[p.Rule.Slot] = true
		}
	}
	for slot := range slots {
		n, err := c.RedirectedTo(slot)
		if err != nil {
			return nil, err
		}
		rules.Slots[slot] = n
	}
	return rules, nil
}
