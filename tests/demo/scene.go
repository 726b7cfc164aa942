// SPDX-License-Identifier: MIT

package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Scene is a part of the demo, and what came of it.
type Scene struct {
	Name        string
	Connections int64
	Bytes       int64 // checked, in both directions together
	Elapsed     time.Duration
}

// act is what one connection does in a scene. It returns the bytes it checked.
type act func(ctx context.Context, c *connection) (int64, error)

// play runs an act on n connections, over IPv4 and IPv6 in turn, at most
// parallel at once. It ends early when one fails.
func (c *clients) play(ctx context.Context, name string, n, parallel int, to spec, a act) (Scene, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var bytes atomic.Int64
	var next atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range min(n, parallel) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = next.Add(1) - 1 {
				checked, err := c.perform(ctx, families[i%2], to, a)
				bytes.Add(checked)
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	scene := Scene{Name: name, Connections: int64(n), Bytes: bytes.Load(), Elapsed: time.Since(begin)}
	if ctx.Err() != nil {
		return scene, fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
	return scene, nil
}

// perform runs an act on a new connection.
func (c *clients) perform(ctx context.Context, f family, to spec, a act) (int64, error) {
	conn, err := c.dial(ctx, f, to)
	if err != nil {
		return 0, err
	}
	checked, err := a(ctx, conn)
	return checked, errors.Join(err, conn.close())
}

// echo exchanges a stream.
func echo(length int64) act {
	return func(ctx context.Context, c *connection) (int64, error) {
		return c.echo(ctx, request{length: length})
	}
}

// echoWithKeyUpdate exchanges streams until the server has changed the keys. The
// first one asks for it. An update that follows too closely on another, which
// quic-go begins by itself, has to wait.
func echoWithKeyUpdate(length int64) act {
	return func(ctx context.Context, c *connection) (int64, error) {
		checked, err := c.echo(ctx, request{length: length, keyUpdate: true})
		for err == nil && c.events.remoteKeyUpdates.Load() == 0 {
			var n int64
			n, err = c.echo(ctx, request{length: smallLength})
			checked += n
		}
		return checked, err
	}
}

// echoWithMigration moves to another address and port in the middle of a stream.
func echoWithMigration(length int64) act {
	return func(ctx context.Context, c *connection) (int64, error) {
		return c.echo(ctx, request{length: length, midway: c.migrate})
	}
}

func (c *connection) echo(ctx context.Context, r request) (int64, error) {
	r.seed = rand.Uint32()
	if err := c.exchange(ctx, r); err != nil {
		return 0, err
	}
	return 2 * r.length, nil
}
