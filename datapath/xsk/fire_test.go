// SPDX-License-Identifier: MIT

package xsk

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// fire is what a member's thread meets at each access to shared memory: others that
// come between, and at one of them a stop or its death.
type fire struct {
	after  atomic.Int64 // accesses until it strikes
	kill   bool
	struck chan struct{} // closed when it has
	resume chan struct{} // closed to let a stopped thread go on
}

func newFire(after int64, kill bool) *fire {
	f := &fire{kill: kill, struck: make(chan struct{}), resume: make(chan struct{})}
	f.after.Store(after)
	return f
}

func (f *fire) step(any) {
	if f.after.Add(-1) == 0 {
		close(f.struck)
		if f.kill {
			runtime.Goexit()
		}
		<-f.resume
	}
	if rand.IntN(16) == 0 {
		runtime.Gosched()
	}
}

// Sizes of the worlds under fire.
const (
	fireMembers = 3
	fireChunks  = 48
	fireRing    = 64
	fireRX      = 8
)

// receiver is a member that receives: a thread that turns until it is told to end.
type receiver struct {
	rx   *Ring[Desc]
	fire *fire
	stop atomic.Bool
	done chan struct{}
}

func startReceiver(t *testing.T, fill Ring[uint64], fire *fire) *receiver {
	r := &receiver{rx: newRing[Desc](t, fireRX), fire: fire, done: make(chan struct{})}
	shared := newSharedFill(t, &fill)
	shared.step = fire.step
	go func() {
		defer close(r.done)
		in := NewConsumer(r.rx)
		descs := make([]Desc, 5)
		for !r.stop.Load() || len(r.rx.Pending(nil)) > 0 {
			var chunks []uint64
			for _, d := range descs[:in.Peek(descs)] {
				chunks = append(chunks, d.Addr)
			}
			shared.Push(chunks)
			in.Release(len(chunks))
			runtime.Gosched()
		}
	}()
	return r
}

// fireKernel takes chunks from FILL and gives them to receivers at random.
type fireKernel struct {
	fill   *Consumer[uint64]
	queues []*Producer[Desc]
	free   []uint64 // taken, and the RX ring was full
}

func (k *fireKernel) run(stop *atomic.Bool) {
	for !stop.Load() {
		k.packet()
		runtime.Gosched()
	}
}

func (k *fireKernel) packet() {
	if len(k.free) == 0 {
		chunk := make([]uint64, 1)
		n := k.fill.Peek(chunk)
		k.fill.Release(n)
		k.free = append(k.free, chunk[:n]...)
	}
	if len(k.free) == 0 {
		return
	}
	desc := []Desc{{Addr: k.free[0]&^(testChunk-1) + Headroom, Len: 64}}
	k.free = k.free[k.queues[rand.IntN(len(k.queues))].Submit(desc):]
}

// TestReceiversUnderFire kills one member and stops another at a random access, round
// by round, and accounts for the chunks as a pool does.
func TestReceiversUnderFire(t *testing.T) {
	fill := newRing[uint64](t, fireRing)
	auditor := newSharedFill(t, fill)
	startFill(auditor, ^uint32(0)-1000)
	kernel := &fireKernel{fill: NewConsumer(fill)}
	if n := kernel.audit(t, auditor); n != fireChunks {
		t.Fatalf("%d chunks are nowhere at first, want %d", n, fireChunks)
	}
	found := 0
	for range 1000 {
		found += kernel.round(t, auditor)
	}
	t.Logf("%d chunks were lost and found", found)
}

// round returns how many chunks were lost and found.
func (k *fireKernel) round(t *testing.T, auditor *SharedFill) (found int) {
	t.Helper()
	members := make([]*receiver, fireMembers)
	k.queues = nil
	for i := range members {
		members[i] = startReceiver(t, auditor.ring, newFire(rand.Int64N(100)+1, i == 0))
		k.queues = append(k.queues, NewProducer(members[i].rx))
	}
	var paused atomic.Bool
	var running sync.WaitGroup
	running.Go(func() { k.run(&paused) })
	<-members[0].fire.struck
	<-members[1].fire.struck
	paused.Store(true)
	running.Wait()

	found = k.audit(t, auditor, members[1].rx, members[2].rx)
	for _, m := range members {
		m.stop.Store(true)
		close(m.fire.resume)
	}
	for _, m := range members {
		<-m.done
	}
	// The ring of the stopped member may have named a chunk that it had given back, and
	// that was lost by the dead one then.
	found += k.audit(t, auditor)
	if n := k.audit(t, auditor); n != 0 {
		t.Errorf("%d chunks are nowhere after an audit", n)
	}
	return found
}

// audit looks where the chunks are, in the order of a pool: first the RX rings of the
// living, then FILL. What is nowhere is lost, and pushed again.
func (k *fireKernel) audit(t *testing.T, fill *SharedFill, rings ...*Ring[Desc]) (lost int) {
	t.Helper()
	received := make([]bool, fireChunks)
	for _, ring := range rings {
		for _, d := range ring.Pending(nil) {
			received[d.Addr/testChunk] = true
		}
	}
	held := make([]int, fireChunks)
	for _, chunk := range append(fill.Pending(nil), k.free...) {
		held[chunk/testChunk]++
	}
	for i := range uint64(fireChunks) {
		switch {
		case held[i] > 1:
			t.Errorf("chunk %d is %d times in FILL", i, held[i])
		case held[i] == 0 && !received[i]:
			lost += fill.Push([]uint64{i * testChunk})
		}
	}
	return lost
}

// sender is a member that sends, with chunks of its own.
type sender struct {
	tx     *Ring[Desc]
	shared *SharedCompletion
	chunks []uint32
	fire   *fire
	done   chan struct{}
}

// sky says of each TX chunk what the words say too, if all goes well.
type sky struct {
	flying [fireChunks]atomic.Bool // from before the descriptor is in TX until the kernel gives it back
}

// run sends packets, until all are acknowledged.
func (m *sender) run(t *testing.T, s *sky, packets int) {
	defer close(m.done)
	out := NewProducer(m.tx)
	for m.busy() || packets > 0 {
		m.shared.Reap(rand.IntN(5) + 1)
		for _, chunk := range m.chunks {
			if packets == 0 || m.shared.Busy(chunk) {
				continue
			}
			m.shared.Begin(chunk)
			if s.flying[chunk].Swap(true) {
				t.Errorf("chunk %d landed before its time", chunk)
				return
			}
			if out.Submit([]Desc{{Addr: uint64(chunk)*testChunk + 200, Len: 64}}) != 1 {
				t.Error("the TX ring is full")
			}
			packets--
		}
		runtime.Gosched()
	}
}

func (m *sender) busy() bool {
	return slices.ContainsFunc(m.chunks, m.shared.Busy)
}

// complete sends what is in a TX ring, in any order, while there is room in COMPLETION.
func (s *sky) complete(tx *Consumer[Desc], completion *Producer[uint64]) {
	descs := make([]Desc, 3)
	descs = descs[:tx.Peek(descs)]
	descs = descs[:completion.Reserve(len(descs))]
	rand.Shuffle(len(descs), func(i, j int) { descs[i], descs[j] = descs[j], descs[i] })
	for i, d := range descs {
		s.flying[d.Addr/testChunk].Store(false)
		// Members that come late look at entries that are no longer theirs, and see it.
		atomic.StoreUint64(completion.at(completion.next+uint32(i)), d.Addr)
	}
	completion.next += uint32(len(descs))
	atomic.StoreUint32(completion.producer, completion.next)
	tx.Release(len(descs))
}

// TestSendersUnderFire kills one member and stops another at a random access, round by
// round. The third must come to its end meanwhile.
func TestSendersUnderFire(t *testing.T) {
	completion := newRing[uint64](t, fireRing)
	*completion.producer, *completion.consumer = ^uint32(0)-1000, ^uint32(0)-1000
	words := make([]uint32, fireChunks)
	kernel := NewProducer(completion)
	for range 100 {
		roundOfSenders(t, completion, kernel, words)
	}
}

func roundOfSenders(t *testing.T, completion *Ring[uint64], kernel *Producer[uint64], words []uint32) {
	t.Helper()
	s := &sky{}
	members := make([]*sender, fireMembers)
	queues := make([]*Consumer[Desc], fireMembers)
	for i := range members {
		m := &sender{tx: newRing[Desc](t, fireRing), fire: newFire(rand.Int64N(200)+1, i == 0), done: make(chan struct{})}
		if i == 2 {
			m.fire.after.Store(0)
		}
		for chunk := range uint32(fireChunks) {
			if chunk%fireMembers == uint32(i) {
				m.chunks = append(m.chunks, chunk)
			}
		}
		m.shared = newSharedCompletion(t, completion, words)
		m.shared.step = m.fire.step
		members[i], queues[i] = m, NewConsumer(m.tx)
		go m.run(t, s, 100)
	}
	var end atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for !end.Load() {
			s.complete(queues[rand.IntN(len(queues))], kernel)
			runtime.Gosched()
		}
	})
	<-members[2].done
	<-members[0].done
	close(members[1].fire.resume)
	<-members[1].done
	end.Store(true)
	running.Wait()
	bury(t, members[0], queues[0])
}

// bury ends the flights of a dead member, as when its socket is closed. At the most
// one chunk had begun and was not in TX yet.
func bury(t *testing.T, dead *sender, tx *Consumer[Desc]) {
	t.Helper()
	dead.shared.step = nil
	for dead.shared.Reap(fireRing) > 0 {
	}
	waiting := len(tx.Pending(nil))
	for _, chunk := range dead.chunks {
		if dead.shared.Busy(chunk) {
			waiting--
			dead.shared.Abandon(chunk)
		}
	}
	if waiting < -1 {
		t.Errorf("%d chunks were sent and have not landed", -waiting)
	}
}
