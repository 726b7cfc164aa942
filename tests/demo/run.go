// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options say how much to do. All must be set, but Log.
type Options struct {
	Server     string    // the server program
	Path       Path      // how the servers receive and send
	Workers    int       // of each server's worker pool
	Handshakes int       // connections that only come, say a little, and go
	Bytes      int64     // to be transferred, in both directions together
	Log        io.Writer // told how far it is; nil: nobody
}

// The CIBIR identifiers of the servers, and one that nobody has.
var (
	identifiers = [][]byte{{0x0a, 0x0b}, {0x0c, 0x0d}}
	nobody      = spec{identifier: []byte{0x0e, 0x0f}}
)

const (
	smallLength = 16 << 10 // of a stream in the handshakes
	transfers   = 4        // connections that share Bytes
	moves       = 4        // connections that move, and whose keys the server changes
	together    = 8        // connections at once
)

// show is the demo under way.
type show struct {
	Options
	*stage
	servers []*server // that serve now
	hadXDP  bool      // some server
	summary Summary
}

// Run makes the namespaces, starts the servers and plays the scenes. It returns
// when all is gone again, also when ctx ends early.
func Run(ctx context.Context, o Options) (*Summary, error) {
	begin := time.Now()
	s := &show{Options: o, summary: Summary{Path: o.Path}}
	s.say("%s", o.Path.title())
	var err error
	if s.stage, err = newStage(o.Server); err != nil {
		return nil, err
	}
	defer s.stage.close()
	err = s.play(ctx)
	for _, srv := range s.servers {
		if err != nil {
			err = srv.failure(err)
		}
		err = errors.Join(err, srv.stop())
	}
	s.summary.Elapsed = time.Since(begin)
	return &s.summary, err
}

func (s *show) say(format string, args ...any) {
	if s.Log != nil {
		fmt.Fprintf(s.Log, "== "+format+"\n", args...)
	}
}

func (s *show) play(ctx context.Context) error {
	for i, id := range identifiers {
		sp := spec{identifier: id, workers: s.Workers, xdp: s.Path.asks(i), xdpOnly: s.Path == XDP}
		if err := s.open(ctx, sp); err != nil {
			return err
		}
	}
	for _, part := range []func(context.Context) error{s.exchanges, s.stateless, s.refusals, s.outage} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	for i, fate := range []string{"served on", "restarted"} {
		if err := s.take(ctx, s.servers[i], fate); err != nil {
			return err
		}
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	slices.SortStableFunc(s.summary.Servers, func(a, b Report) int { return strings.Compare(a.Name, b.Name) })
	s.summary.take(s.clients)
	return s.summary.check()
}

// open starts a server.
func (s *show) open(ctx context.Context, sp spec) error {
	srv, err := s.start(ctx, sp)
	if err != nil {
		return err
	}
	if err := s.checkXDP(ctx, srv); err != nil {
		return errors.Join(err, srv.stop())
	}
	s.servers = append(s.servers, srv)
	s.say("server %s on UDP port %d, pid %d", srv.name(), port, srv.cmd.Process.Pid)
	return nil
}

// take takes a server's report for the summary, at its end.
func (s *show) take(ctx context.Context, srv *server, fate string) error {
	report, err := srv.report(ctx)
	if err != nil {
		return err
	}
	report.Fate = fate
	if srv.xdp {
		saw, err := s.look()
		if err != nil {
			return err
		}
		report.Lost = saw.lost[report.PID]
	}
	s.summary.Servers = append(s.summary.Servers, *report)
	return nil
}

// exchanges plays the scenes of which every server has its part.
func (s *show) exchanges(ctx context.Context) error {
	for _, scene := range []struct {
		name        string
		connections int
		act         act
	}{
		{"handshakes", s.Handshakes, echo(smallLength)},
		{"transfers", transfers, echo(s.Bytes / 2 / transfers)},
		{"moves and key updates", moves, echoOnTheMove(s.Bytes / 64)},
	} {
		s.say("%s: %d connections, to each server over IPv4 and IPv6", scene.name, scene.connections)
		if err := s.scene(ctx, scene.name, scene.connections, scene.act); err != nil {
			return err
		}
	}
	return nil
}

// scene plays an act on n connections to the servers that serve.
func (s *show) scene(ctx context.Context, name string, n int, a act) error {
	var to []spec
	for _, srv := range s.servers {
		to = append(to, srv.spec)
	}
	scene, err := s.clients.play(ctx, name, n, together, to, a)
	s.summary.Scenes = append(s.summary.Scenes, scene)
	return err
}

// stateless asks for the answers that need no connection: those of the servers,
// and that of the kernel where nobody has the identifier.
func (s *show) stateless(ctx context.Context) error {
	s.say("version negotiation, stateless reset, and an identifier that nobody has")
	for _, f := range families {
		for _, srv := range s.servers {
			if err := s.clients.stateless(ctx, f, srv.spec); err != nil {
				return err
			}
		}
		if err := s.clients.checkUnreachable(ctx, f, nobody); err != nil {
			return err
		}
	}
	return nil
}
