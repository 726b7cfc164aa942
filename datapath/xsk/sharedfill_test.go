// SPDX-License-Identifier: MIT

package xsk

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// fillWorld is a FILL ring, whose chunks go around: the kernel takes them and gives
// them to members in turn, who push all that they have.
type fillWorld struct {
	t       *testing.T
	f       *SharedFill
	taken   uint32     // the kernel's private index
	inboxes [][]uint64 // of members: received and not released, as in an RX ring
	pushes  []int      // by chunk: pushes begun less takes
	seen    uint32     // where the producer index was last
}

func newFillWorld(t *testing.T, start, size, members, chunks uint32) *fillWorld {
	f := &fillWorld{t: t, taken: start, inboxes: make([][]uint64, members), pushes: make([]int, chunks), seen: start}
	f.f = newSharedFill(t, newRing[uint64](t, size))
	startFill(f.f, start)
	for i := range uint64(chunks) {
		owner := &f.inboxes[i%uint64(members)]
		*owner = append(*owner, i*testChunk)
	}
	return f
}

func newSharedFill(t failer, ring *Ring[uint64]) *SharedFill {
	f, err := NewSharedFill(ring, testChunk)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// startFill makes the ring look as if it had come to an index.
func startFill(f *SharedFill, start uint32) {
	*f.ring.producer, *f.ring.consumer = start, start
	for i := range f.ring.size {
		*f.ring.at(start + i) = f.tag(start + i - f.ring.size)
	}
}

// take is the kernel's part. Like the kernel it says late how far it has come.
func (f *fillWorld) take(to int, publish bool) {
	entry := atomic.LoadUint64(f.f.ring.at(f.taken))
	chunk := entry &^ f.f.lap
	f.taken++
	if f.pushes[chunk/testChunk]--; f.pushes[chunk/testChunk] < 0 {
		f.t.Errorf("the kernel was given chunk %#x once more than it was pushed", chunk)
	}
	f.inboxes[to] = append(f.inboxes[to], chunk)
	if publish {
		atomic.StoreUint32(f.f.ring.consumer, f.taken)
	}
}

func (f *fillWorld) available() bool { return atomic.LoadUint32(f.f.ring.producer) != f.taken }

// turn is a member's part: push, then release.
func (f *fillWorld) turn(member int) {
	chunks := slices.Clone(f.inboxes[member])
	for _, chunk := range chunks {
		f.pushes[chunk/testChunk]++
	}
	n := f.f.Push(chunks)
	for _, chunk := range chunks[n:] { // the ring is full
		f.pushes[chunk/testChunk]--
	}
	f.inboxes[member] = f.inboxes[member][n:]
}

// account checks where the chunks are at the end: each once in FILL, except that
// those in the inbox of a dead member need not be.
func (f *fillWorld) account(dead int) {
	atomic.StoreUint32(f.f.ring.consumer, f.taken)
	pending := f.f.Pending(nil)
	for i := range uint64(len(f.pushes)) {
		n := 0
		for _, chunk := range pending {
			if chunk == i*testChunk {
				n++
			}
		}
		lost := n == 0 && dead >= 0 && slices.Contains(f.inboxes[dead], i*testChunk)
		if n != 1 && !lost {
			f.t.Errorf("chunk %d is %d times in FILL; inboxes %v", i, n, f.inboxes)
		}
	}
}

// memory also checks that nothing goes back.
func (f *fillWorld) memory() []uint64 {
	if int32(*f.f.ring.producer-f.seen) < 0 {
		f.t.Errorf("the producer index went back from %#x to %#x", f.seen, *f.f.ring.producer)
	}
	f.seen = *f.f.ring.producer
	words := append(make([]uint64, 0, 32), uint64(*f.f.ring.producer), uint64(*f.f.ring.consumer), uint64(f.taken))
	for i := range f.f.ring.size {
		words = append(words, *f.f.ring.at(i))
	}
	for _, inbox := range f.inboxes {
		words = append(append(words, inbox...), ^uint64(0))
	}
	for _, n := range f.pushes {
		words = append(words, uint64(n))
	}
	return words
}

func TestFill(t *testing.T) {
	f := newSharedFill(t, newRing[uint64](t, 4))
	if n := f.Push([]uint64{3*testChunk + 17, testChunk}); n != 2 {
		t.Fatalf("pushed %d", n)
	}
	if got, want := f.Pending([]uint64{7}), []uint64{7, 3 * testChunk, testChunk}; !slices.Equal(got, want) {
		t.Errorf("pending %v, want %v", got, want)
	}
	*f.ring.consumer = 1
	if got, want := f.Pending(nil), []uint64{testChunk}; !slices.Equal(got, want) || f.Taken() != 1 {
		t.Errorf("pending %v, want %v; taken %d", got, want, f.Taken())
	}
	if *f.ring.flags = 1; !f.NeedWakeup() {
		t.Error("the flag was not seen")
	}
}

func TestFillIsNeverOverfull(t *testing.T) {
	f := newSharedFill(t, newRing[uint64](t, 4))
	startFill(f, ^uint32(0)-2)
	if n := f.Push(make([]uint64, 7)); n != 4 {
		t.Errorf("pushed %d into 4 entries", n)
	}
	if n := f.Push(make([]uint64, 7)); n != 0 {
		t.Errorf("pushed %d into a full ring", n)
	}
	*f.ring.consumer += 3
	if n := f.Push(make([]uint64, 7)); n != 3 {
		t.Errorf("pushed %d into 3 entries", n)
	}
}

// Somebody may write anything into the ring at any time. Verbs must come to an end,
// and inside the ring.
func TestFillFullOfLies(t *testing.T) { rapid.Check(t, checkFillLies) }

func checkFillLies(t *rapid.T) {
	f := newSharedFill(t, newRing[uint64](t, 8))
	startFill(f, startAt.Draw(t, "start"))
	lies := rapid.SliceOfN(rapid.Uint32(), 1, 20).Draw(t, "lies")
	f.step = func(any) {
		lie := lies[0]
		lies = append(lies[1:], lie)
		switch lie % 5 {
		case 0:
			*f.ring.producer = lie
		case 1:
			*f.ring.consumer = lie
		case 2:
			*f.ring.at(lie / 5) = uint64(lie)
		case 3:
			*f.ring.producer += lie % 3
		}
	}
	if n := f.Push(make([]uint64, 5)); n > 5 {
		t.Fatalf("pushed %d of 5", n)
	}
	if n := len(f.Pending(nil)); n > 8 {
		t.Fatalf("%d pending in 8 entries", n)
	}
}

func TestFillThatCannotBe(t *testing.T) {
	for _, test := range []struct{ size, chunk uint32 }{{8, 0}, {8, 1}, {8, 3000}, {maxEntries, 1 << 13}} {
		ring := newRing[uint64](t, test.size)
		if _, err := NewSharedFill(ring, test.chunk); err == nil || !strings.Contains(err.Error(), "power of two") {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// fillOrder is what a fillWorld is to do.
type fillOrder struct {
	start, size, members, chunks uint32
	to                           []int // which member gets what the kernel takes, one after the other
	killable                     bool  // one member
}

func TestFillInEveryOrder(t *testing.T) {
	for _, order := range []fillOrder{
		{start: ^uint32(0), size: 4, members: 2, chunks: 2, to: []int{0}, killable: true},
		{start: ^uint32(0), size: 4, members: 2, chunks: 3, to: []int{0}},
		{start: ^uint32(0), size: 1, members: 2, chunks: 2, to: []int{1, 1}}, // once around while member 0 stands still
	} {
		t.Run(fmt.Sprintf("%+v", order), func(t *testing.T) {
			explore(t, func(w *world) { order.build(t, w) })
		})
	}
}

func (o fillOrder) build(t *testing.T, w *world) {
	f := newFillWorld(t, o.start, o.size, o.members, o.chunks)
	f.f.step = w.step
	w.actor(false, func() {
		for i, member := range o.to {
			w.wait(f.available)
			f.take(member, o.size <= o.chunks || i%2 == 1)
		}
	})
	for m := range int(o.members) {
		w.actor(o.killable, func() {
			for {
				w.wait(func() bool { return len(f.inboxes[m]) > 0 })
				f.turn(m)
			}
		})
	}
	w.memory = f.memory
	w.atEnd = func() {
		if n := f.taken - o.start; w.killed == nil && n != uint32(len(o.to)) {
			t.Errorf("the kernel saw %d chunks", n)
		}
		f.f.step = nil
		f.account(slices.Index(w.actors, w.killed) - 1)
	}
}
