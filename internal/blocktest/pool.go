// SPDX-License-Identifier: MIT

package blocktest

import (
	"testing"
	"unsafe"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// Pool keeps receive blocks and knows who has each one. It fails the test when
// a block has two owners, comes back twice, or never. For one goroutine.
type Pool struct {
	t       testing.TB
	context uint32
	free    []*batch.Rx
	turns   []*batch.Turn
	out     map[*batch.Rx]owner
	unmap   []func()
}

type owner string

const (
	aTurn     owner = "a turn"
	theClient owner = "the client"
)

// NewPool makes a pool. At the end of the test every block must be free or
// lent; then they are unmapped.
func NewPool(t testing.TB, context uint32) *Pool {
	p := &Pool{t: t, context: context, out: map[*batch.Rx]owner{}}
	t.Cleanup(func() {
		p.checkAllBack()
		for _, unmap := range p.unmap {
			unmap()
		}
	})
	return p
}

func (p *Pool) checkAllBack() {
	for _, turn := range p.turns {
		for _, b := range turn.Block {
			delete(p.out, b)
		}
	}
	for b, who := range p.out {
		p.t.Errorf("%s kept a block, with %d datagrams pending", who, b.Pending)
	}
}

// NewTurn makes a turn with all blocks lent.
func (p *Pool) NewTurn() *batch.Turn {
	turn := new(batch.Turn)
	p.turns = append(p.turns, turn)
	p.Refill(turn)
	return turn
}

// Refill replaces the blocks that a turn has taken or never had, as mqx_turn_refill does.
func (p *Pool) Refill(turn *batch.Turn) {
	p.forget(turn)
	for i, b := range turn.Block {
		if b == nil {
			turn.Block[i] = p.get()
		}
	}
}

// Withhold takes blocks away from a turn, as a lack of memory does.
func (p *Pool) Withhold(turn *batch.Turn, indices ...int) {
	p.t.Helper()
	p.forget(turn)
	for _, i := range indices {
		if b := turn.Block[i]; b != nil {
			p.put(b, aTurn)
			turn.Block[i] = nil
		}
	}
}

// forget removes the blocks that belong to a chain from the turn.
func (p *Pool) forget(turn *batch.Turn) {
	for i := range turn.Block {
		if turn.Taken>>i&1 != 0 {
			turn.Block[i] = nil
		}
	}
	turn.Taken = 0
}

func (p *Pool) get() *batch.Rx {
	var b *batch.Rx
	if n := len(p.free); n != 0 {
		b, p.free = p.free[n-1], p.free[:n-1]
	} else {
		var unmap func()
		b, unmap = newRx(p.t, p.context)
		p.unmap = append(p.unmap, unmap)
	}
	p.out[b] = aTurn
	return b
}

func (p *Pool) put(b *batch.Rx, from owner) {
	p.t.Helper()
	if p.out[b] != from {
		p.t.Fatalf("a block comes back from %s, but %q has it", from, p.out[b])
	}
	delete(p.out, b)
	p.free = append(p.free, b)
}

// Deliver makes the chain of a turn the client's, after checking it against
// what the turn says of it: the blocks it took, the datagrams pending in each,
// and the totals. It returns the datagrams.
func (p *Pool) Deliver(turn *batch.Turn) []*batch.RecvData {
	p.t.Helper()
	var list []*batch.RecvData
	var bytes uint32
	pending := map[*batch.Rx]uint32{}
	for d := turn.Chain; d != nil; d = d.Next {
		list = append(list, d)
		bytes += uint32(len(Payload(p.t, d)))
		pending[Owner(d)]++
	}
	if len(list) != int(turn.Datagrams) || bytes != turn.Bytes {
		p.t.Fatalf("the chain has %d datagrams of %d bytes together, the turn says %d of %d",
			len(list), bytes, turn.Datagrams, turn.Bytes)
	}
	for i, b := range turn.Block {
		switch taken := turn.Taken>>i&1 != 0; {
		case taken && (b == nil || p.out[b] != aTurn):
			p.t.Fatalf("block %d was taken and had not been lent", i)
		case taken && (pending[b] == 0 || pending[b] != b.Pending):
			p.t.Fatalf("block %d has %d datagrams pending, the chain has %d of it", i, b.Pending, pending[b])
		case taken:
			p.out[b] = theClient
			delete(pending, b)
		}
	}
	if len(pending) != 0 {
		p.t.Fatalf("the chain has datagrams of %d blocks that were not taken", len(pending))
	}
	return list
}

// Return gives a chain back, as mqx_CxPlatRecvDataReturn does.
func (p *Pool) Return(chain *batch.RecvData) {
	p.t.Helper()
	for d := chain; d != nil; d = d.Next {
		p.ReturnOne(d)
	}
}

// ReturnOne gives one datagram back.
func (p *Pool) ReturnOne(d *batch.RecvData) {
	p.t.Helper()
	b := Owner(d)
	if d.Flags&1 == 0 || b.Pending == 0 {
		p.t.Fatalf("a datagram with flags %#x comes back to a block with %d pending", d.Flags, b.Pending)
	}
	d.Flags &^= 1
	if b.Pending--; b.Pending == 0 {
		p.put(b, theClient)
	}
}

// Owner returns the block that describes a datagram.
func Owner(d *batch.RecvData) *batch.Rx {
	// Safety: every RecvData of a chain is the last member of a slot.
	return (*batch.RxSlot)(unsafe.Add(unsafe.Pointer(d), -int(unsafe.Offsetof(batch.RxSlot{}.Data)))).Block
}

// Payload returns the bytes of a datagram, which must lie in the buffer of its block.
func Payload(t testing.TB, d *batch.RecvData) []byte {
	t.Helper()
	b := Owner(d)
	start := uintptr(d.Buffer) - uintptr(b.Buffer) // wraps, and is then too large
	if start >= batch.IOBuffer || start+uintptr(d.Length) > batch.IOBuffer {
		t.Fatalf("a datagram of %d bytes lies at byte %d of its buffer", d.Length, int(start))
	}
	return b.Bytes()[start:][:d.Length]
}
