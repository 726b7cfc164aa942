// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// network is what an engine serves: interfaces and their queues, as they come and go.
type network struct {
	engine   *Engine
	features xsk.Features
	state    *rundir.Dir
	member   *pool.Member

	serving atomic.Pointer[serving] // what data threads look at
	own     ownAddresses
	board   board

	mu      sync.Mutex // for a moment: of what follows. Only the keeper changes devices
	devices map[int]*device
	notes   []Note
	changed bool // since C has looked: queues wait for endpoints or are to lose them, or there are notes
}

// serving is what can be sent by and received from now.
type serving struct {
	interfaces []int // in order
	queues     []*Queue
}

// openNetwork makes a member of the pools, who is in none yet.
func openNetwork(e *Engine, k pool.Kernel, features xsk.Features) (*network, error) {
	state, err := rundir.Open("")
	if err != nil {
		return nil, err
	}
	n := &network{engine: e, features: features, state: state, devices: map[int]*device{}}
	n.serving.Store(&serving{})
	if n.member, err = pool.Open(state, k); err != nil {
		state.Close()
		return nil, err
	}
	return n, nil
}

func (n *network) close() {
	n.board.clear()
	_ = n.member.Close()
	n.state.Close()
}

// follow makes the engine serve what the host has now. The keeper calls it.
func (n *network) follow(h *netlink.Handle) error {
	v, err := look(h)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, d := range n.meet(v) {
		n.attend(d, v, now)
	}
	n.tellAddresses(v)
	n.engine.rule()
	n.publish()
	n.post()
	return nil
}

// meet makes devices of the interfaces that are new, and brings the others up to date. It
// returns all, in order of their numbers.
func (n *network) meet(v *view) (all []*device) {
	total := map[int]int{}
	for index, l := range v.links {
		if d := n.devices[index]; d != nil && d.served || n.engine.options.unfit(&l) == nil {
			total[index] = receiveQueues(l.name)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for index, l := range v.links {
		if n.devices[index] == nil {
			n.devices[index] = &device{}
		}
		n.devices[index].link, n.devices[index].total = l, total[index]
	}
	for _, d := range n.devices {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *device) int { return a.link.index - b.link.index })
	return all
}

// attend does what there is to do about a device.
func (n *network) attend(d *device, v *view, now time.Time) {
	_, there := v.links[d.link.index]
	unfit := n.engine.options.unfit(&d.link)
	if d.served {
		if why := n.ends(d, there, unfit); why != nil {
			n.retire(d, why)
		}
	}
	n.leaveEnded(d)
	switch {
	case !there:
		n.forget(d)
	case d.served:
		n.adapt(d, now)
		if d.program != nil {
			n.mend(d.program)
			n.countTooLong(d)
		}
	case len(d.queues) > 0: // workers still have to let go of it
	case unfit != nil:
		n.mu.Lock()
		d.reason, d.tried = unfit, netif{}
		n.mu.Unlock()
	case d.due(now):
		n.serve(d, now)
	}
}

// ends says why a device that is served is to be no more. One that goes down, or loses
// its addresses, is kept: they may come back.
func (n *network) ends(d *device, there bool, unfit error) error {
	if !there {
		return errors.New("it is gone")
	}
	if lost := d.lost(); lost != nil {
		return lost
	}
	if errors.As(unfit, new(errListed)) {
		return unfit
	}
	return nil
}

// mend ends what a process has left that has died while it refreshed the program. Who is
// still at it does the same a moment later.
func (n *network) mend(p *program) {
	if p.HasTwin() {
		_ = p.Refresh()
	}
}

// forget drops a device that is gone, once nothing of it is left.
func (n *network) forget(d *device) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(d.queues) == 0 {
		delete(n.devices, d.link.index)
	}
}

// tellAddresses tells the programs which addresses the host has.
func (n *network) tellAddresses(v *view) {
	n.own.set(v.addresses)
	for _, p := range n.programs() {
		_ = p.SetAddresses(v.addresses)
	}
}

// programs returns those of all devices that are served.
func (n *network) programs() (all []*program) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.devices {
		if d.program != nil {
			all = append(all, d.program)
		}
	}
	return all
}

// lookAgain returns when something is to be looked at that no announcement is made of; zero when
// nothing is.
func (n *network) lookAgain() (at time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.devices {
		again := d.again
		if d.program != nil && d.program.mode == classifier.Generic && !d.told {
			again = time.Now().Add(tooLongInterval)
		} else if d.reason == nil || d.tried != d.link {
			continue
		}
		if at.IsZero() || again.Before(at) {
			at = again
		}
	}
	return at
}

// publish lets data threads see what is served now, and C what it has to do.
func (n *network) publish() {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &serving{}
	for _, d := range n.devices {
		for _, q := range d.queues {
			if q.state == watched {
				s.queues = append(s.queues, q)
			}
		}
	}
	slices.SortFunc(s.queues, func(a, b *Queue) int {
		return (a.ifindex-b.ifindex)*classifier.MaxQueues + a.number - b.number
	})
	for _, q := range s.queues {
		if len(s.interfaces) == 0 || s.interfaces[len(s.interfaces)-1] != q.ifindex {
			s.interfaces = append(s.interfaces, q.ifindex)
		}
	}
	n.serving.Store(s)
	if n.changed {
		n.changed = false
		n.engine.answers.ring()
	}
}

// width is how many queues of an interface are served, or soon will be.
func (n *network) width(ifindex int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d := n.devices[ifindex]; d != nil {
		return len(d.queues)
	}
	return 0
}

// queueOf chooses among the queues of an interface one that a partition's own worker
// watches, so that workers do not wait for each other; nil if it has none.
func (n *network) queueOf(ifindex int, partition uint16) *Queue {
	queues := n.serving.Load().queues
	first, end := 0, 0
	for i, q := range queues {
		switch {
		case q.ifindex != ifindex:
		case q.partition == partition:
			return q
		case end == 0:
			first, end = i, i+1
		default:
			end = i + 1
		}
	}
	if end == 0 {
		return nil
	}
	return queues[first+int(partition)%(end-first)]
}

var errNone = errors.New("no interface is served by AF_XDP")

// why says why nothing is served; nil where something is, or soon will be.
func (n *network) why() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	failures := []error{errNone}
	for _, d := range n.devices {
		if d.served {
			return nil
		}
		if d.reason != nil && !d.link.loopback {
			failures = append(failures, fmt.Errorf("interface %s: %w", d.link.name, d.reason))
		}
	}
	return errors.Join(failures...)
}
