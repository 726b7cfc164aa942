// SPDX-License-Identifier: MIT

package xdp

import (
	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
)

// Counters are what the kernel has counted of what engines serve.
type Counters struct {
	Packets classifier.Counters // of interfaces, whoever shares them
	Sockets xsk.Statistics      // of the engines' own
}

// Count adds up what engines serve now. An interface that several of them serve counts once.
func Count(engines []*Engine) (c Counters) {
	seen := map[uint32]bool{}
	for _, e := range engines {
		e.net.count(&c, seen)
	}
	return c
}

// count leaves out the programs that were seen, and adds the others to them.
func (n *network) count(c *Counters, seen map[uint32]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.devices {
		if d.program != nil {
			c.addProgram(d.program, seen)
		}
		for _, q := range d.queues {
			c.addSocket(q)
		}
	}
}

func (c *Counters) addProgram(p *program, seen map[uint32]bool) {
	id, err := p.ID()
	if err != nil || seen[id] {
		return
	}
	seen[id] = true
	packets, _, err := p.Counters()
	if err != nil {
		return
	}
	for reason, n := range packets {
		c.Packets[reason] += n
	}
}

// addSocket adds a queue's, unless its seat has been left.
func (c *Counters) addSocket(q *Queue) {
	q.sending.Lock()
	defer q.sending.Unlock()
	seat, ok := q.seat.(*pool.Queue)
	if !ok {
		return
	}
	s, err := seat.Statistics()
	if err != nil {
		return
	}
	c.Sockets.RXRingFull += s.RXRingFull
	c.Sockets.RXDropped += s.RXDropped
	c.Sockets.FillEmpty += s.FillEmpty
	c.Sockets.TXInvalid += s.TXInvalid
	c.Sockets.TXEmpty += s.TXEmpty
}
