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
	Dropped  int64         // datagrams for which the sockets of the port had no room
	Resets   int           // connections to the victim that its return has ended
}

// outage kills one server and starts it again, while the other is busy.
func (s *show) outage(ctx context.Context) error {
	survivor, victim := s.servers[0], s.servers[1]
	s.say("server %s is killed and started again, while %s is busy", victim.name(), survivor.name())
	busy, err := s.clients.dialAll(ctx, survivor.spec, steadyConnections)
	if err != nil {
		return err
	}
	defer closeAll(busy)
	before, err := s.net.server.udpDrops(port)
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
	after, dropErr := s.net.server.udpDrops(port)
	for socket, drops := range after {
		o.Dropped += drops - before[socket]
	}
	return errors.Join(err, dropErr)
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

func (s *show) killAndRestart(ctx context.Context, victim *server) error {
	witness, err := s.clients.dialAll(ctx, victim.spec, witnesses)
	if err != nil {
		return err
	}
	defer closeAll(witness)
	if err := s.take(ctx, victim, "killed"); err != nil {
		return err
	}
	begin := time.Now()
	victim.kill()
	s.servers = s.servers[:1]
	if err := s.whileDead(ctx, victim.spec); err != nil {
		return err
	}
	if err := s.open(ctx, victim.spec); err != nil {
		return err
	}
	s.summary.Outage.Elapsed = time.Since(begin)
	for _, c := range witness {
		if err := c.checkReset(ctx); err != nil {
			return err
		}
		s.summary.Outage.Resets++
	}
	return s.scene(ctx, "both serve again", s.Handshakes/2, echo(smallLength))
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

// checkReset expects that the server, which has forgotten the connection, says so.
func (c *connection) checkReset(ctx context.Context) error {
	_, err := c.echo(ctx, request{length: smallLength})
	if _, reset := errors.AsType[*quic.StatelessResetError](err); !reset {
		return fmt.Errorf("a connection over %s that server %s has forgotten: %v, want a stateless reset",
			c.family.name, c.to.name(), err)
	}
	return nil
}
