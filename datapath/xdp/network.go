// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/ethtool"
	"github.com/msquicxdp/msquicxdp/datapath/frame"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// network is what an engine serves: interfaces and their queues.
type network struct {
	state      *rundir.Dir
	member     *pool.Member
	interfaces []int
	programs   []*program // one for each of the interfaces; none in map mode
	queues     []*Queue
	rules      int
	own        ownAddresses
	next       atomic.Uint32
}

// openNetwork joins every queue of every interface that is worth it. An interface
// that cannot be served is passed over.
func openNetwork(e *Engine) (*network, error) {
	n, err := enterNetwork(kernel{})
	if err != nil {
		return nil, err
	}
	all, err := net.Interfaces()
	if err != nil {
		n.close()
		return nil, err
	}
	failures := []error{errNone}
	for _, i := range all {
		if !isWorthwhile(&i) {
			continue
		}
		if err := n.serve(e, &i); err != nil {
			failures = append(failures, fmt.Errorf("interface %s: %w", i.Name, err))
		}
	}
	if len(n.queues) == 0 {
		n.close()
		return nil, errors.Join(failures...)
	}
	return n, nil
}

// enterNetwork makes a member of the pools, who is in none yet.
func enterNetwork(k pool.Kernel) (*network, error) {
	state, err := rundir.Open("")
	if err != nil {
		return nil, err
	}
	n := &network{state: state}
	if n.member, err = pool.Open(state, k); err != nil {
		state.Close()
		return nil, err
	}
	return n, nil
}

var errNone = errors.New("no interface is served by AF_XDP")

// serve joins all queues of an interface, or none.
func (n *network) serve(e *Engine, i *net.Interface) error {
	var seats []*pool.Queue
	for number := range mostQueues(i) {
		seat, err := n.join(i.Index, number)
		if errors.Is(err, xsk.ErrNoQueue) && number > 0 {
			break
		}
		if err != nil {
			for _, s := range seats {
				_ = s.Leave()
			}
			return fmt.Errorf("queue %d: %w", number, err)
		}
		seats = append(seats, seat)
	}
	for _, s := range seats {
		n.queues = append(n.queues, &Queue{engine: e, ifindex: i.Index, seat: s, checksum: frame.Partial})
	}
	n.interfaces = append(n.interfaces, i.Index)
	if p, ok := seats[0].Program().(*program); ok {
		n.programs = append(n.programs, p)
	}
	return nil
}

// join joins the pool of a queue. A new one is a small one where the process may not lock
// the memory of a usual one (RLIMIT_MEMLOCK): 4 MiB, for four members.
func (n *network) join(ifindex, number int) (*pool.Queue, error) {
	seat, err := n.member.Join(ifindex, number, pool.Options{Checksums: true})
	if errors.Is(err, unix.ENOBUFS) {
		seat, err = n.member.Join(ifindex, number, pool.Options{Checksums: true, Members: 4, Ring: 256, Send: 128, Spare: 512})
	}
	return seat, err
}

// mostQueues is how many queues an interface has, or the most that it can have: to try
// takes memory, and privilege.
func mostQueues(i *net.Interface) int {
	if n, err := ethtool.Queues(i.Name); err == nil && n > 0 {
		return min(n, classifier.MaxQueues)
	}
	return classifier.MaxQueues
}

func (n *network) close() {
	if n.member == nil {
		return // in map mode, without an interface
	}
	_ = n.member.Close()
	n.state.Close()
}

// refresh tells the programs which addresses the host has.
func (n *network) refresh() {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return // what was said before stays
	}
	var list []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p.Addr())
		}
	}
	n.own.set(list)
	for _, p := range n.programs {
		_ = p.SetAddresses(list)
	}
}

// width is how many queues of an interface are served.
func (n *network) width(ifindex int) (width int) {
	for _, q := range n.queues {
		if q.ifindex == ifindex {
			width++
		}
	}
	return width
}

// queueOf chooses among the queues of an interface, in turn; nil if it has none.
func (n *network) queueOf(ifindex int) *Queue {
	start := int(n.next.Add(1))
	for i := range n.queues {
		q := n.queues[(start+i)%len(n.queues)]
		if q.ifindex == ifindex {
			return q
		}
	}
	return nil
}
