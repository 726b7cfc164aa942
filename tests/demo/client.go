// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/msquicxdp/msquicxdp/internal/netns"
)

// clients makes connections out of the client's namespace.
type clients struct {
	ns         *netns.Namespace
	tls        *tls.Config
	events     events
	handshakes atomic.Int64
	misrouted  atomic.Int64 // answers from another server than the one asked
}

// transport opens a socket on a free port, for connections to a server.
func (c *clients) transport(local netip.Addr, to spec) (*quic.Transport, error) {
	t := &quic.Transport{}
	err := c.ns.Do(func() (err error) {
		t.Conn, err = net.ListenUDP("udp", udpAddr(local, 0))
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(to.identifier) > 0 {
		t.ConnectionIDGenerator = cidGenerator{to.identifier}
	}
	return t, nil
}

func udpAddr(addr netip.Addr, port uint16) *net.UDPAddr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port))
}

// connection is a QUIC connection with a socket of its own, or several.
type connection struct {
	*quic.Conn
	clients    *clients
	to         spec
	family     family
	events     events
	transports []*quic.Transport
}

// dial makes a connection, and has the server say who it is.
func (c *clients) dial(ctx context.Context, f family, to spec) (*connection, error) {
	transport, err := c.transport(f.client[0], to)
	if err != nil {
		return nil, err
	}
	conn := &connection{clients: c, to: to, family: f, transports: []*quic.Transport{transport}}
	conn.events.all = &c.events
	conn.Conn, err = transport.Dial(ctx, udpAddr(f.server, port), c.tls, &quic.Config{
		HandshakeIdleTimeout: 5 * time.Second,
		MaxIdleTimeout:       10 * time.Second,
		Tracer:               conn.events.trace,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("handshake with %s over %s: %w", to.name(), f.name, err), conn.closeTransports())
	}
	c.handshakes.Add(1)
	if err := conn.exchange(ctx, request{}); err != nil {
		return nil, errors.Join(err, conn.close())
	}
	return conn, nil
}

// dialAll makes n connections to a server, over IPv4 and IPv6 in turn.
func (c *clients) dialAll(ctx context.Context, to spec, n int) ([]*connection, error) {
	var all []*connection
	for i := range n {
		conn, err := c.dial(ctx, families[i%2], to)
		if err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		all = append(all, conn)
	}
	return all, nil
}

// migrate moves the connection to a new socket on the client's other address.
func (c *connection) migrate(ctx context.Context) error {
	transport, err := c.clients.transport(c.family.client[1], c.to)
	if err != nil {
		return err
	}
	c.transports = append(c.transports, transport)
	path, err := c.AddPath(transport)
	if err != nil {
		return fmt.Errorf("add a path: %w", err)
	}
	if err := path.Probe(ctx); err != nil {
		return fmt.Errorf("probe the new path: %w", err)
	}
	if err := path.Switch(); err != nil {
		return fmt.Errorf("switch to the new path: %w", err)
	}
	return nil
}

func (c *connection) close() error {
	return errors.Join(c.CloseWithError(0, ""), c.closeTransports())
}

func closeAll(all []*connection) error {
	var errs []error
	for _, c := range all {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

func (c *connection) closeTransports() error {
	var errs []error
	for _, t := range c.transports {
		errs = append(errs, t.Close(), t.Conn.Close())
	}
	return errors.Join(errs...)
}
