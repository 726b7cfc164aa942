// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	steadyConnections = 4 // to the server that serves on, all the while
	witnesses         = 2 // connections to the one that is killed
)

// Outage is how one server served on while the other was dead.
type Outage struct {
	Elapsed  time.Duration // from the kill until the victim served again
	Answered atomic.Int64  // requests on the steady connections; one without an answer is an error
	Dropped  int64         // datagrams for which the sockets of the servers had no room
	Resets   int           // connections to the victim that its return has ended
}

// outage kills the server that came first, and so made all that they share, and starts
// it again, while the other is busy.
func (s *show) outage(ctx context.Context) error {
	victim, survivor := s.servers[0], s.servers[1]
	s.say("server %s is killed and started again, while %s is busy", victim.name(), survivor.name())
	busy, err := s.clients.dialAll(ctx, survivor.spec, steadyConnections)
	if err != nil {
		return err
	}
	defer closeAll(busy)
	before, err := s.drops()
	if err != nil {
		return err
	}
	o := &s.summary.Outage
	over, ended := make(chan struct{}), make(chan error)
	begin := time.Now()
	for _, c := range busy {
		go func() { ended <- o.echoUntil(ctx, c, over) }()
	}
	err = s.killAndRestart(ctx, victim)
	close(over)
	for range busy {
		err = errors.Join(err, <-ended)
	}
	s.summary.Scenes = append(s.summary.Scenes, Scene{Name: "all the while", Connections: len(busy),
		Bytes: 2 * smallLength * o.Answered.Load(), Elapsed: time.Since(begin)})
	after, dropErr := s.drops()
	for socket, drops := range after {
		o.Dropped += drops - before[socket]
	}
	return errors.Join(err, dropErr)
}

// drops returns how many datagrams each socket of the servers had no room for.
func (s *show) drops() (map[string]int64, error) {
	drops, err := s.net.Server.UDPDrops(port)
	if err != nil || s.Path == Kernel {
		return drops, err
	}
	saw, err := s.look()
	if err != nil {
		return nil, err
	}
	for pid, packets := range saw.lost {
		drops[fmt.Sprintf("AF_XDP of process %d", pid)] = packets
	}
	return drops, nil
}

// echoUntil exchanges one stream after the other until over is closed.
func (o *Outage) echoUntil(ctx context.Context, c *connection, over <-chan struct{}) error {
	for {
		select {
		case <-over:
			return nil
		default:
		}
		if _, err := c.echo(ctx, request{length: smallLength}); err != nil {
			return err
		}
		o.Answered.Add(1)
	}
}

// killAndRestart kills a server in the middle of transfers.
func (s *show) killAndRestart(ctx context.Context, victim *server) error {
	witness, err := s.clients.dialAll(ctx, victim.spec, witnesses)
	if err != nil {
		return err
	}
	defer closeAll(witness)
	// What is transferred from now on will be neither reported nor finished.
	if err := s.take(ctx, victim, "killed"); err != nil {
		return err
	}
	if s.summary.Observation.Early, err = kernelUDP(s.net.Server); err != nil {
		return err
	}
	var cut []<-chan error
	for _, c := range witness {
		ended, err := c.transferForEver(ctx)
		if err != nil {
			return err
		}
		cut = append(cut, ended)
	}
	begin := time.Now()
	victim.kill()
	s.servers = s.servers[1:]
	if err := s.whileDead(ctx, victim.spec); err != nil {
		return err
	}
	if err := s.open(ctx, victim.spec); err != nil {
		return err
	}
	s.summary.Outage.Elapsed = time.Since(begin)
	for i, c := range witness {
		if err := c.checkReset(<-cut[i]); err != nil {
			return fmt.Errorf("%w; the server was back after %v, and this is known after %v", err,
				s.summary.Outage.Elapsed, time.Since(begin))
		}
		s.summary.Outage.Resets++
	}
	return s.scene(ctx, "both serve again", s.Handshakes/2, echo(smallLength))
}

// transferForEver begins a transfer that never ends by itself, and returns when it
// is under way. The channel tells how it ends.
func (c *connection) transferForEver(ctx context.Context) (<-chan error, error) {
	begun, ended := make(chan struct{}), make(chan error, 1)
	r := request{length: 1 << 40, mark: 1 << 20, midway: func(context.Context) error {
		close(begun)
		return nil
	}}
	go func() { ended <- c.exchange(ctx, r) }()
	select {
	case <-begun:
		return ended, nil
	case err := <-ended:
		return nil, err
	}
}

// whileDead has new clients come to the survivor, and shows that nobody answers
// for the dead one.
func (s *show) whileDead(ctx context.Context, dead spec) error {
	for _, f := range families {
		if err := s.clients.checkUnreachable(ctx, f, dead); err != nil {
			return err
		}
	}
	return s.scene(ctx, "one server dead", s.Handshakes/2, echo(smallLength))
}

// checkReset expects that an exchange has failed since the server, which has forgotten
// the connection, said so.
func (c *connection) checkReset(err error) error {
	if _, reset := errors.AsType[*quic.StatelessResetError](err); !reset {
		return fmt.Errorf("a connection over %s that server %s has forgotten: %v, want a stateless reset",
			c.family.name, c.to.name(), err)
	}
	return nil
}
