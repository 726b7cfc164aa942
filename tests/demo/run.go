// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Options say how much to do. All must be set, but Log and Identifier.
type Options struct {
	Server     string    // the server program
	Workers    int       // of the server's worker pool
	Handshakes int       // connections that only come, say a little, and go
	Bytes      int64     // to be transferred, in both directions together
	Log        io.Writer // told how far it is; nil: nobody
	Identifier []byte    // the server's CIBIR identifier, 1 to 6 bytes; none if empty
}

const (
	smallLength = 16 << 10 // of a stream in the handshakes
	transfers   = 4        // connections that share Bytes
	migrations  = 4        // connections that move
	keyUpdaters = 2        // connections whose keys the server changes
	together    = 8        // connections at once
)

// Run makes the namespaces, starts the server and plays the scenes. It returns
// when all is gone again, also when ctx ends early.
func Run(ctx context.Context, o Options) (_ *Summary, err error) {
	dir, err := os.MkdirTemp("", "msquicxdp-demo-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cert, err := newCertificate(dir)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	o.say("two network namespaces, joined by a veth pair")
	net, err := newNetwork()
	if err != nil {
		return nil, err
	}
	defer net.close()
	one := spec{name: "one", identifier: o.Identifier, workers: o.Workers}
	o.say("server %q on port %d, over libmsquicxdp.a", one.name, port)
	srv, err := startServer(ctx, o.Server, net.server, cert, one)
	if err != nil {
		return nil, err
	}
	summary, err := o.play(ctx, &clients{ns: net.client, tls: cert.client}, srv)
	if stopped := srv.stop(); stopped != nil {
		err = errors.Join(err, stopped)
	}
	return summary, err
}

func (o Options) say(format string, args ...any) {
	if o.Log != nil {
		fmt.Fprintf(o.Log, "== "+format+"\n", args...)
	}
}

// play runs the scenes against one server, and adds up.
func (o Options) play(ctx context.Context, c *clients, srv *server) (*Summary, error) {
	scenes := []struct {
		name        string
		connections int
		act         act
	}{
		{"handshakes", o.Handshakes, echo(smallLength)},
		{"transfers", transfers, echo(o.Bytes / 2 / transfers)},
		{"migrations", migrations, echoWithMigration(o.Bytes / 64)},
		{"key updates", keyUpdaters, echoWithKeyUpdate(o.Bytes / 64)},
	}
	summary := &Summary{}
	for _, s := range scenes {
		o.say("%s: %d connections, over IPv4 and IPv6 in turn", s.name, s.connections)
		scene, err := c.play(ctx, s.name, s.connections, together, srv.spec, s.act)
		if err != nil {
			return nil, srv.failure(err)
		}
		summary.Scenes = append(summary.Scenes, scene)
	}
	o.say("version negotiation and stateless reset")
	for _, f := range families {
		if err := c.stateless(ctx, f, srv.spec); err != nil {
			return nil, srv.failure(err)
		}
	}
	report, err := srv.report(ctx)
	if err != nil {
		return nil, err
	}
	summary.Servers = append(summary.Servers, *report)
	summary.Handshakes = c.handshakes.Load()
	summary.Misrouted = c.misrouted.Load()
	summary.LocalKeyUpdates = c.events.localKeyUpdates.Load()
	summary.RemoteKeyUpdates = c.events.remoteKeyUpdates.Load()
	summary.ECNCapable = c.events.ecnCapable.Load()
	summary.ECNReceived = c.events.ecnReceived.Load()
	return summary, summary.check()
}
