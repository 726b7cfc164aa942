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
	Connections int
	Bytes       int64 // checked, in both directions together
	Elapsed     time.Duration
}

// act is what one connection does in a scene. It returns the bytes it checked.
type act func(ctx context.Context, c *connection) (int64, error)

// play runs an act on n connections, to each server in turn over IPv4 and IPv6,
// at most parallel at once. It ends early when one fails.
func (c *clients) play(ctx context.Context, name string, n, parallel int, to []spec, a act) (Scene, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var bytes atomic.Int64
	var next atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range min(n, parallel) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				checked, err := c.perform(ctx, families[i%2], to[i/2%len(to)], a)
				bytes.Add(checked)
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	scene := Scene{Name: name, Connections: n, Bytes: bytes.Load(), Elapsed: time.Since(begin)}
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

// echoOnTheMove moves to another address and port in the middle of a stream, for
// which the server changes the keys. It goes on until that is done: an update
// that follows too closely on another, which quic-go begins by itself, has to wait.
func echoOnTheMove(length int64) act {
	return func(ctx context.Context, c *connection) (int64, error) {
		checked, err := c.echo(ctx, request{length: length, keyUpdate: true, midway: c.migrate})
		for err == nil && c.events.remoteKeyUpdates.Load() == 0 {
			var n int64
			n, err = c.echo(ctx, request{length: smallLength})
			checked += n
		}
		return checked, err
	}
}

func (c *connection) echo(ctx context.Context, r request) (int64, error) {
	r.seed = rand.Uint32()
	if err := c.exchange(ctx, r); err != nil {
		return 0, err
	}
	return 2 * r.length, nil
}
