// SPDX-License-Identifier: MIT

package xsk

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// failer is a test, or a property that is being checked.
type failer interface{ Fatal(args ...any) }

// newRing makes a ring that stands at 0.
func newRing[E Entry](t failer, size uint32) *Ring[E] {
	r, err := NewRing[E](size)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// startAt draws indexes that wrap soon, or not.
var startAt = rapid.OneOf(rapid.Uint32Range(^uint32(0)-200, ^uint32(0)), rapid.Uint32())

// checkRing works both ends of a ring beside a queue that does the same.
func checkRing[E Entry](t *rapid.T, entry func(number uint32) E) {
	ring := newRing[E](t, 1<<rapid.IntRange(0, 6).Draw(t, "log2 of the size"))
	start := startAt.Draw(t, "start")
	*ring.producer, *ring.consumer = start, start
	in, out := NewProducer(ring), NewConsumer(ring)
	var queue []E
	number := uint32(0)
	count := rapid.IntRange(0, int(ring.size)+2)
	t.Repeat(map[string]func(*rapid.T){
		"submit": func(t *rapid.T) {
			entries := make([]E, count.Draw(t, "n"))
			for i := range entries {
				number++
				entries[i] = entry(number)
			}
			room := min(len(entries), int(ring.size)-len(queue))
			if n := in.Reserve(len(entries)); n != room {
				t.Fatalf("reserved %d of %d, want %d", n, len(entries), room)
			}
			if n := in.Submit(entries); n != room {
				t.Fatalf("submitted %d of %d, want %d", n, len(entries), room)
			}
			queue = append(queue, entries[:room]...)
		},
		"peek": func(t *rapid.T) {
			dst := make([]E, count.Draw(t, "n"))
			got := dst[:out.Peek(dst)]
			if want := queue[:min(len(dst), len(queue))]; !slices.Equal(got, want) {
				t.Fatalf("peeked %v, want %v", got, want)
			}
		},
		"release": func(t *rapid.T) {
			n := rapid.IntRange(0, len(queue)).Draw(t, "n")
			out.Release(out.Peek(make([]E, n)))
			queue = queue[n:]
		},
		"": func(t *rapid.T) {
			if got := ring.Pending(nil); !slices.Equal(got, queue) || in.Len() != len(queue) {
				t.Fatalf("pending %v, length %d, want %v", got, in.Len(), queue)
			}
		},
	})
}

func TestRingOfDescriptors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkRing(t, func(n uint32) Desc { return Desc{uint64(n) << 32, n, ^n} })
	})
}

func TestRingOfAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkRing(t, func(n uint32) uint64 { return uint64(n) })
	})
}

// Whatever somebody writes into the indexes, the verbs stay inside the ring, and go on
// when the kernel writes the truth again.
func TestLiesAboutIndexes(t *testing.T) { rapid.Check(t, checkIndexLies) }

func checkIndexLies(t *rapid.T) {
	ring := newRing[Desc](t, 8)
	start, lie := startAt.Draw(t, "start"), rapid.Uint32().Draw(t, "lie")
	*ring.producer, *ring.consumer = start, start
	in, out := NewProducer(ring), NewConsumer(ring)

	*ring.consumer = lie
	if n := in.Reserve(20); n > 8 {
		t.Fatalf("reserved %d of 8", n)
	}
	if n := out.Peek(make([]Desc, 20)); n != 0 || *ring.consumer != start {
		t.Fatalf("peeked %d; the consumer index is %#x, want %#x", n, *ring.consumer, start)
	}
	in = NewProducer(ring)
	*ring.producer = lie
	if n := len(ring.Pending(nil)); n > 8 {
		t.Fatalf("%d of 8 pending", n)
	}
	out.Release(out.Peek(make([]Desc, 20)))
	if far := out.next - start; far > 8 || far != 0 && far != lie-start {
		t.Fatalf("%d of 8 released", far)
	}
	*ring.producer = start
	for range 8 {
		in.consumed = in.next // the other end may be ahead
		in.Submit(make([]Desc, 1))
		out.Release(out.Peek(make([]Desc, 1)))
	}
	if in.next != out.next {
		t.Fatalf("the ends are at %#x and %#x after a turn", in.next, out.next)
	}
}

func TestRingSizes(t *testing.T) {
	for _, size := range []uint32{0, 3, 1000, 2 * maxEntries, 1<<31 + 1} {
		if _, err := NewRing[Desc](size); err == nil || !strings.Contains(err.Error(), "power of two") {
			t.Errorf("%d: %v", size, err)
		}
	}
	if r := newRing[Desc](t, 2048); r.Size() != 2048 {
		t.Errorf("size %d", r.Size())
	}
}

func TestNeedWakeup(t *testing.T) {
	ring := newRing[Desc](t, 8)
	for _, flags := range []uint32{0, unix.XDP_RING_NEED_WAKEUP, ^uint32(0), 2} {
		atomic.StoreUint32(ring.flags, flags)
		if got := ring.NeedWakeup(); got != (flags&1 != 0) {
			t.Errorf("flags %#x: %v", flags, got)
		}
	}
}
