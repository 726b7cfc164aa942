// SPDX-License-Identifier: MIT

package blocktest

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// fakeTB records why a pool ends its test.
type fakeTB struct {
	testing.TB
	log      string
	cleanups []func()
}

func (f *fakeTB) Helper()                   {}
func (f *fakeTB) Cleanup(fn func())         { f.cleanups = append(f.cleanups, fn) }
func (f *fakeTB) Errorf(s string, a ...any) { f.log += fmt.Sprintf(s, a...) }
func (f *fakeTB) Fatalf(s string, a ...any) { f.Errorf(s, a...); runtime.Goexit() }

// complaints runs f as a test of its own, with its clean-up.
func complaints(f func(p *Pool)) string {
	tb := &fakeTB{}
	run := func(f func()) {
		done := make(chan struct{})
		go func() { defer close(done); f() }()
		<-done
	}
	run(func() { f(NewPool(tb, 0)) })
	for i := len(tb.cleanups) - 1; i >= 0; i-- {
		run(tb.cleanups[i])
	}
	return tb.log
}

// fill plays a turn that read n datagrams of one byte into block i.
func fill(turn *batch.Turn, i int, n uint32) {
	tail := &turn.Chain
	for *tail != nil {
		tail = &(*tail).Next
	}
	b := turn.Block[i]
	b.Pending = n
	for k := range n {
		s := b.Slot(k)
		s.Block = b
		s.Data = batch.RecvData{Buffer: unsafe.Add(b.Buffer, k), Length: 1, Flags: batch.RecvAllocatedNormal}
		*tail, tail = &s.Data, &s.Data.Next
	}
	turn.Taken |= 1 << i
	turn.Datagrams += n
	turn.Bytes += n
}

func TestPoolTakesAnHonestTurn(t *testing.T) {
	said := complaints(func(p *Pool) {
		turn := p.NewTurn()
		first := turn.Block[0]
		for range 3 {
			turn.Chain, turn.Datagrams, turn.Bytes = nil, 0, 0
			fill(turn, 0, 2)
			fill(turn, 15, 3)
			if got := len(p.Deliver(turn)); got != 5 {
				t.Errorf("%d datagrams delivered, want 5", got)
			}
			chain := turn.Chain
			p.Refill(turn)
			p.Return(chain)
		}
		if turn.Block[0] == first {
			t.Error("a block that the client had was lent at the same time")
		}
		if len(p.out) != batch.RxLent || len(p.free) != 2 {
			t.Errorf("%d blocks are out and %d free; want 16 and 2", len(p.out), len(p.free))
		}
	})
	if said != "" {
		t.Error(said)
	}
}

func TestPoolFindsMistakes(t *testing.T) {
	for _, test := range []struct {
		name, want string
		mistake    func(p *Pool, turn *batch.Turn)
	}{
		{"lost block", "a turn kept a block", func(p *Pool, turn *batch.Turn) {
			turn.Taken = 1
			p.Refill(turn)
		}},
		{"lost datagram", "the client kept a block, with 1 datagrams pending", func(p *Pool, turn *batch.Turn) {
			fill(turn, 0, 2)
			p.ReturnOne(p.Deliver(turn)[0])
			p.Refill(turn)
		}},
		{"returned twice", "comes back to a block", func(p *Pool, turn *batch.Turn) {
			fill(turn, 0, 2)
			d := p.Deliver(turn)[0]
			p.ReturnOne(d)
			p.ReturnOne(d)
		}},
		{"pending too high", "block 0 has 3 datagrams pending, the chain has 2", func(p *Pool, turn *batch.Turn) {
			fill(turn, 0, 2)
			turn.Block[0].Pending++
			p.Deliver(turn)
		}},
		{"not marked", "of 1 blocks that were not taken", func(p *Pool, turn *batch.Turn) {
			fill(turn, 0, 2)
			turn.Taken = 0
			p.Deliver(turn)
		}},
		{"marked for nothing", "block 1 has", func(p *Pool, turn *batch.Turn) {
			turn.Taken = 2
			p.Deliver(turn)
		}},
		{"wrong count", "the turn says 3", func(p *Pool, turn *batch.Turn) {
			fill(turn, 0, 2)
			turn.Datagrams++
			p.Deliver(turn)
		}},
		{"outside the buffer", "at byte 65536", func(p *Pool, turn *batch.Turn) {
			fill(turn, 0, 1)
			turn.Chain.Buffer = unsafe.Add(turn.Chain.Buffer, batch.IOBuffer)
			p.Deliver(turn)
		}},
		{"block of nobody", "block 0 was taken and had not been lent", func(p *Pool, turn *batch.Turn) {
			fill(turn, 0, 1)
			p.Deliver(turn)
			p.Deliver(turn)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			said := complaints(func(p *Pool) { test.mistake(p, p.NewTurn()) })
			if !strings.Contains(said, test.want) {
				t.Errorf("the pool said %q, want %q in it", said, test.want)
			}
		})
	}
}

func TestWithheldBlocksAreMissingUntilRefilled(t *testing.T) {
	p := NewPool(t, 0)
	turn := p.NewTurn()
	p.Withhold(turn, 0, 9)
	for i, b := range turn.Block {
		if missing := i == 0 || i == 9; missing != (b == nil) {
			t.Errorf("block %d missing: %v", i, b == nil)
		}
	}
	p.Refill(turn)
	if turn.Block[0] == nil || turn.Block[9] == nil || len(p.free) != 0 {
		t.Error("the missing blocks were not lent again")
	}
}
