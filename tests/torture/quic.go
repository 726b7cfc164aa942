// SPDX-License-Identifier: MIT

package torture

import (
	"context"
	"sync"
	"time"

	"github.com/msquicxdp/msquicxdp/tests/demo"
)

const (
	exchangeLength = 64 << 10
	exchangeTime   = 8 * time.Second // more than a lost packet costs
)

// exchanges load one of the demo's servers with QUIC: one connection after the other.
type exchanges struct {
	c     *Conductor
	role  *role
	work  sync.WaitGroup
	stop  context.CancelFunc
	pause func() bool

	mu   sync.Mutex
	last time.Time // of success
	good int
}

func (c *Conductor) newExchanges(r *role, parallel int) *exchanges {
	ctx, cancel := context.WithCancel(context.Background())
	x := &exchanges{c: c, role: r, stop: cancel}
	for i := range parallel {
		x.work.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				x.exchange(ctx, n%2 == 1)
			}
		})
	}
	return x
}

func (x *exchanges) close() {
	x.stop()
	x.work.Wait()
}

func (x *exchanges) exchange(ctx context.Context, v6 bool) {
	if x.c.paused.Load() || !x.role.serves() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
		return
	}
	begin := time.Now()
	limited, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	n, err := x.c.quic.Exchange(limited, x.role.id[:], v6, exchangeLength)
	if demo.IsWrong(err) {
		x.c.violate("QUIC to %v: %v", x.role.id, err)
		return
	}
	if err == nil {
		x.c.packets.Add(n / 1200)
		x.mu.Lock()
		x.good++
		x.last = time.Now()
		x.mu.Unlock()
		return
	}
	if ctx.Err() == nil && x.clear(begin.Add(-afterStorm), time.Now()) {
		x.c.violate("QUIC to %v, begun %v ago, undisturbed: %v", x.role.id, time.Since(begin), err)
	}
}

func (x *exchanges) clear(from, to time.Time) bool {
	return x.c.weather.clear(from, to) && x.role.weather.clear(from, to)
}

func (x *exchanges) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.good
}
