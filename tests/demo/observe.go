// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Observation is what was seen of AF_XDP, from outside of the servers.
type Observation struct {
	Mode       classifier.Mode  // in which the interface has its XDP program
	Redirected map[uint32]int64 // packets that the program gave to AF_XDP sockets, by its number
	Members    int              // of the queue's pool, in the end
	Chunks     int              // of the pool, to receive into
	Missing    int              // of them, when all is quiet
	Early      KernelUDP        // what kernel sockets did before the kill
	Kernel     KernelUDP        // and in all
}

// redirected is how many packets all programs gave to AF_XDP sockets.
func (o *Observation) redirected() (n int64) {
	for _, packets := range o.Redirected {
		n += packets
	}
	return n
}

// sight is what there is at one moment.
type sight struct {
	program    uint32
	mode       classifier.Mode
	redirected int64
	lost       map[int]int64 // packets for which an AF_XDP socket had no room, by process
	census     pool.Census
}

// see looks at the servers' interface. It joins nothing, so that the servers have only
// each other.
func (s *stage) see() (saw *sight, err error) {
	err = s.net.Server.Do(func() error {
		link, err := net.InterfaceByName(serverLink)
		if err != nil {
			return err
		}
		saw = &sight{lost: map[int]int64{}}
		return errors.Join(saw.seeProgram(link.Index), saw.seePool(link.Index, s.claims))
	})
	return saw, err
}

func (s *sight) seeProgram(ifindex int) error {
	on, err := classifier.On(ifindex)
	if err != nil {
		return err
	}
	c, err := classifier.Look(on.Program)
	if err != nil {
		return err
	}
	defer c.Close()
	total, _, err := c.Counters()
	s.program, s.mode, s.redirected = on.Program, on.Mode, int64(total[classifier.Redirected])
	return err
}

func (s *sight) seePool(ifindex int, state string) error {
	dir, err := rundir.Open(state)
	if err != nil {
		return err
	}
	defer dir.Close()
	v, err := pool.Observe(dir)
	if err != nil {
		return err
	}
	if len(v.Pools) != 1 || v.Pools[0].Ifindex != ifindex || v.Pools[0].Account == nil {
		return fmt.Errorf("servers are on other queues than the one of interface %d, or do not tell: %+v", ifindex, v)
	}
	process := map[int]int{} // by slot
	for _, m := range v.Members {
		process[int(m.Slot)] = m.PID
	}
	account := v.Pools[0].Account
	s.census = account.Census
	for i, seat := range account.Census.Seats {
		k := &account.Sockets[i].Kernel
		s.lost[process[seat.Slot]] += int64(k.RXRingFull + k.RXDropped)
	}
	return nil
}

// look sees, and takes down what will be in the summary.
func (s *show) look() (*sight, error) {
	saw, err := s.see()
	if err != nil {
		return nil, fmt.Errorf("look at the servers' interface: %w", err)
	}
	o := &s.summary.Observation
	if o.Redirected == nil {
		o.Redirected = map[uint32]int64{}
	}
	o.Mode = saw.mode
	o.Redirected[saw.program] = saw.redirected
	return saw, nil
}

// settle looks for the last time, when all is quiet.
func (s *show) settle(ctx context.Context) error {
	o := &s.summary.Observation
	var err error
	if o.Kernel, err = kernelUDP(s.net.Server); err != nil || s.Path == Kernel {
		return err
	}
	saw, err := s.look()
	if err == nil && saw.census.Missing == 1 {
		saw, err = s.lookAfterPacket(ctx)
	}
	if err != nil {
		return err
	}
	if saw.census.Twice != 0 {
		return fmt.Errorf("chunks are in two places: %v", saw.census)
	}
	o.Members, o.Chunks, o.Missing = len(saw.census.Seats), saw.census.Receive, saw.census.Missing
	return nil
}

// lookAfterPacket looks when one more packet has come by AF_XDP: after the kernel has
// found an RX ring full it keeps a chunk for the next packet, and nobody has it until
// that comes.
func (s *show) lookAfterPacket(ctx context.Context) (*sight, error) {
	for _, srv := range s.servers {
		if srv.xdp {
			if err := s.clients.stateless(ctx, families[0], srv.spec); err != nil {
				return nil, err
			}
		}
	}
	return s.look()
}
