// SPDX-License-Identifier: MIT

package pool

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// actor is a member in this process that can stop, and die, where a process could: at
// each point of the protocol.
type actor struct {
	w *wire
	*Member
	*Queue

	mu   sync.Mutex
	stop point // where to stop next
	met  chan point
	wait chan struct{} // closed: go on; see end
	end  bool          // go on to the end, which is that of the goroutine

	stopped bool          // in a turn
	turn    chan struct{} // closed when that has ended

	sent uint64 // to it
	next uint64 // number of the packet that it is to get
}

// act opens a member that joins.
func (w *wire) act(o Options) *actor {
	w.Helper()
	a := &actor{w: w, next: 1, met: make(chan point, 1)}
	a.Member = w.openOnly()
	a.Member.step = a.at
	q, err := w.tryJoin(a.Member, 0, o)
	if err != nil {
		w.Fatal(err)
	}
	a.Queue = q
	return a
}

// at runs in the goroutine of a turn or a review.
func (a *actor) at(p point) {
	a.mu.Lock()
	if p != a.stop {
		a.mu.Unlock()
		return
	}
	a.stop = 0
	wait := a.wait
	a.mu.Unlock()
	a.met <- p
	<-wait
	a.mu.Lock()
	end := a.end
	a.mu.Unlock()
	if end {
		runtime.Goexit()
	}
}

// stopAt makes it stop when it comes to a point.
func (a *actor) stopAt(p point) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop, a.wait = p, make(chan struct{})
}

// resume lets it go on.
func (a *actor) resume() { close(a.wait) }

// die ends the member as a kill does: every descriptor is closed, and nobody is told. The
// goroutines that have stopped at a point do no more.
func (a *actor) die() {
	a.w.Helper()
	a.mu.Lock()
	a.end, a.stop = true, 0
	if a.wait != nil {
		select {
		case <-a.wait:
		default:
			close(a.wait)
		}
	}
	a.mu.Unlock()
	m := a.Member
	m.hangUp()
	m.accept.UnixListener.Close()
	m.work.Wait()
	for _, q := range m.queues {
		if err := q.close(); err != nil {
			a.w.Error(err)
		}
	}
	m.file.Close()
}

// feed sends n packets to it.
func (a *actor) feed(n int) {
	for range n {
		a.sent++
		a.w.send(packet(a.Slot(), a.sent, 100))
	}
}

// eat receives all that is there, in order.
func (a *actor) eat() {
	a.w.Helper()
	for n := a.Peek(MaxTurn); n > 0; n = a.Peek(MaxTurn) {
		for i := range n {
			a.check(a.Packet(i))
		}
		a.Release()
	}
}

func (a *actor) check(p []byte) {
	a.w.Helper()
	if mark(p) != a.Slot() || number(p) != a.next {
		a.w.Errorf("slot %d got packet %d of slot %d, want %d", a.Slot(), number(p), mark(p), a.next)
	}
	a.next = number(p) + 1
}

// pass lets n packets go by.
func (a *actor) pass(n int) {
	a.w.Helper()
	for range n {
		a.feed(1)
		for a.next <= a.sent { // which takes a moment where a thread of the kernel delivers
			a.eat()
		}
	}
}

// churn lets packets go around until FILL has forgotten what was in it.
func (a *actor) churn() { a.pass(int(a.shape.fill()) + 100) }

// nowhereBut returns the chunks that are nowhere, or only in the RX ring of b.
func (a *actor) nowhereBut(b *actor) (chunks []uint64) {
	a.fill.Help()
	somewhere := append(a.chunksOf(a.socket.RX.Pending(nil)), a.trail.since(a.trail.taken(), nil)...)
	for _, s := range a.siblings() {
		if s.tenure != b.tenure {
			somewhere = append(somewhere, a.chunksOf(s.ring.Pending(nil))...)
		}
	}
	for n := range uint64(a.shape.Receive) {
		if !slices.Contains(somewhere, n*chunkSize) {
			chunks = append(chunks, n*chunkSize)
		}
	}
	return chunks
}

// waitSeats waits until n members are in the pool, as another one sees it.
func (a *actor) waitSeats(n int) Census {
	a.w.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		c, err := a.Audit(a.w.right.Index, 0)
		if err != nil {
			a.w.Fatal(err)
		}
		if len(c.Seats) == n {
			return c
		}
		if time.Now().After(deadline) {
			a.w.Fatalf("%d seats are taken, want %d: %v", len(c.Seats), n, c)
		}
	}
}

// waitAlone waits until nobody is connected.
func (a *actor) waitAlone() {
	a.w.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		a.Member.mu.Lock()
		n := len(a.peers)
		a.Member.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			a.w.Fatalf("%d are still connected", n)
		}
	}
}

// await waits for an event.
func (a *actor) await(kind EventKind) Event {
	a.w.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		for _, e := range a.Events() {
			if e.Kind == kind {
				return e
			}
		}
		if time.Now().After(deadline) {
			a.w.Fatalf("nobody %v: %v", kind, a.Events())
		}
	}
}

// small is a pool whose FILL ring goes around quickly.
var small = Options{Members: 4, Ring: 64, Send: 64, Spare: 128}

// wantWhole wants every chunk to be in one place.
func wantWhole(t interface {
	Helper()
	Errorf(string, ...any)
}, c Census, spare int) {
	t.Helper()
	if c.Missing > spare || c.Twice != 0 || c.Fill+c.Ring+c.Missing != c.Receive {
		t.Errorf("census %v", c)
	}
}

// A member dies in its turn, at every point, with more packets behind the turn or none.
func TestDeathInATurn(t *testing.T) {
	w := newWire(t)
	witness := w.act(small)
	for _, where := range []point{beforePush, afterPush, afterRelease} {
		for _, packets := range []int{1, 5, 40} {
			for _, turn := range []int{1, 5, 40} {
				for _, churn := range []bool{false, true} {
					if turn > packets {
						continue
					}
					a := w.act(small)
					a.feed(packets)
					a.stopAt(where)
					if n := a.Peek(turn); n != turn {
						t.Fatalf("%d packets, want %d", n, turn)
					}
					go a.Release()
					<-a.met
					if churn {
						witness.churn()
					}
					a.die()
					c := witness.waitSeats(1)
					if wantWhole(t, c, 0); t.Failed() {
						t.Fatalf("died at %d in a turn of %d of %d packets, churned %v", where, turn, packets, churn)
					}
				}
			}
		}
	}
	witness.die()
}

// A member dies in its turn, when the chunks of the turn have gone on to where FILL does
// not tell: to the RX ring of who cleans up, of a member that has stopped, of one that dies
// too, or its own; or to the kernel's hands.
func TestDeathInATurnWhoseChunksHaveGoneOn(t *testing.T) {
	w := newWire(t)
	const turn, packets = 30, 40
	// FILL begins with the chunks of the turn when all others have gone by.
	next := int(small.Members*small.Ring+small.Spare) - packets
	for _, test := range []struct {
		name           string
		goOn           func(witness, other, a *actor)
		dies           bool // the other one, after a
		witness, other int  // packets in rings at the end
		kernelKeep     int
	}{
		{name: "who cleans up", witness: 40, goOn: func(witness, other, a *actor) {
			other.pass(next)
			witness.feed(40)
			other.churn()
		}},
		{name: "stopped", other: 40, goOn: func(witness, other, a *actor) {
			witness.pass(next)
			other.feed(40)
			witness.churn()
		}},
		{name: "dead", dies: true, goOn: func(witness, other, a *actor) {
			witness.pass(next)
			other.feed(40)
			witness.churn()
		}},
		{name: "own", goOn: func(witness, other, a *actor) {
			witness.pass(next)
			a.feed(20)
			witness.churn()
		}},
		{name: "kernel", other: small.Ring, kernelKeep: 1, goOn: func(witness, other, a *actor) {
			w.thread()
			other.feed(small.Ring)
			for {
				witness.feed(1)
				other.feed(2) // finds its ring full, and the kernel keeps a chunk
				time.Sleep(time.Millisecond)
				witness.eat()
				if slices.ContainsFunc(witness.nowhereBut(a), func(c uint64) bool { return slices.Contains(a.chunks[:turn], c) }) {
					return
				}
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.TB = t
			witness, a, other := w.act(small), w.act(small), w.act(small)
			a.feed(packets)
			a.stopAt(afterPush)
			a.Peek(turn)
			go a.Release()
			<-a.met
			test.goOn(witness, other, a)
			other.reviewing.Lock() // the witness cleans up
			a.die()
			members := 2
			if test.dies {
				other.reviewing.Unlock()
				other.die()
				members--
			}
			c := witness.waitSeats(members)
			if wantWhole(t, c, test.kernelKeep); c.Missing != test.kernelKeep || c.Ring != test.witness+test.other {
				t.Errorf("the kernel keeps %d chunks, want %d; rings have %d, want %d", c.Missing, test.kernelKeep, c.Ring, test.witness+test.other)
			}
			if !test.dies {
				other.reviewing.Unlock()
				other.eat()
				other.die()
			}
			witness.eat()
			witness.churn()
			wantWhole(t, witness.waitSeats(1), 0)
			witness.die()
		})
	}
}

// A member dies between two steps of giving chunks back to FILL: they are written, and the
// index does not say so yet.
func TestDeathBeforeFILLSaysSo(t *testing.T) {
	w := newWire(t)
	witness, a := w.act(small), w.act(small)
	a.feed(40)
	a.stopAt(afterPush)
	a.Peek(30)
	go a.Release()
	<-a.met
	at, err := ringOffsets(a.FD())
	if err != nil {
		t.Fatal(err)
	}
	fill, err := unix.Mmap(a.FD(), unix.XDP_UMEM_PGOFF_FILL_RING, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	index := fill[at.Fr.Producer:]
	binary.NativeEndian.PutUint32(index, binary.NativeEndian.Uint32(index)-25)
	if err := unix.Munmap(fill); err != nil {
		t.Fatal(err)
	}
	a.die()
	witness.await(Recovered) // without an audit, which would say so
	wantWhole(t, witness.waitSeats(1), 0)
	witness.die()
}

// Who cleans up after the dead dies too, at every point of it.
func TestDeathOfWhoCleansUp(t *testing.T) {
	w := newWire(t)
	witness := w.act(small)
	for _, where := range []point{afterMissing, beforeRest, afterRest} {
		for _, begun := range []point{beforePush, afterPush} {
			t.Run(fmt.Sprintf("%d, %d", where, begun), func(t *testing.T) {
				w.TB = t
				a, b := w.act(small), w.act(small)
				a.feed(40)
				a.stopAt(begun)
				a.Peek(20)
				go a.Release()
				<-a.met
				b.stopAt(where)
				witness.reviewing.Lock() // so that the other one does it
				a.die()
				<-b.met
				b.die()
				witness.reviewing.Unlock()
				wantWhole(t, witness.waitSeats(1), 0)
				witness.churn()
			})
		}
	}
	w.TB = t
	witness.die()
}
