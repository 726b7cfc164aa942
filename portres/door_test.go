// SPDX-License-Identifier: MIT

package portres

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// long is more patience than any test needs.
const long = 10 * time.Second

// atDoor begins to be at the door, and returns how to leave.
func (h *host) atDoor(c *Claim) (leave func()) {
	h.Helper()
	there, end, left := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := c.AtDoor(long, func() error {
			close(there)
			<-end
			return nil
		})
		left <- err
	}()
	<-there
	return func() {
		h.Helper()
		close(end)
		h.must(<-left)
	}
}

func TestOneIsAtTheDoorAtATime(t *testing.T) {
	h := newHost(t)
	var there, most, times atomic.Int32
	var wg sync.WaitGroup
	for id := range 4 {
		c := h.claim(member(id))
		for range 4 { // threads of one claim, too
			wg.Go(func() {
				ran, err := c.AtDoor(long, func() error {
					most.Store(max(most.Load(), there.Add(1)))
					time.Sleep(time.Millisecond / 4)
					there.Add(-1)
					times.Add(1)
					return nil
				})
				if !ran || err != nil {
					t.Errorf("ran: %v, %v", ran, err)
				}
			})
		}
	}
	wg.Wait()
	if most.Load() != 1 || times.Load() != 16 {
		t.Errorf("%d at the door at once, %d altogether; want 1, 16", most.Load(), times.Load())
	}
}

// One who stays at the door keeps others from it and from nothing else.
func TestOneStaysAtTheDoor(t *testing.T) {
	h := newHost(t)
	first, second := h.claim(member(1)), h.claim(member(2))
	leave := h.atDoor(first)
	for _, patience := range []time.Duration{-1, 0, 20 * time.Millisecond} {
		start := time.Now()
		ran, err := second.AtDoor(patience, func() error { return errors.New("ran") })
		if waited := time.Since(start); ran || err != nil || waited < patience {
			t.Errorf("patience %v: ran %v, %v after %v", patience, ran, err, waited)
		}
	}
	h.must(h.claim(member(3)).Release())
	h.wantRefused(exclusively(rules.Listener), rules.HeldShared)
	h.wantList("udp 4433 0001", "udp 4433 0002")
	elsewhere := member(1)
	elsewhere.Port++
	h.atDoor(h.claim(elsewhere))()
	leave()
	h.atDoor(second)()
}

// One who waits comes in when the one at the door leaves, or dies.
func TestTheDoorBecomesFree(t *testing.T) {
	h := newHost(t)
	second := h.claim(member(2))
	for name, end := range map[string]func(c *Claim) error{
		"it leaves": func(c *Claim) error { return errors.Join(c.file.Unlock(doorAt, 1), c.Release()) },
		"it dies":   func(c *Claim) error { return c.file.Close() },
	} {
		first, err := Acquire(h.dir, member(1))
		h.must(err)
		there, err := first.file.TryLock(doorAt, 1)
		h.must(err)
		came := make(chan bool)
		go func() {
			ran, err := second.AtDoor(long, func() error { return nil })
			came <- ran && err == nil
		}()
		h.must(end(first))
		if !there || !<-came {
			t.Errorf("%s: nobody else came in", name)
		}
	}
}

func TestAtDoorReturnsTheError(t *testing.T) {
	h := newHost(t)
	c := h.claim(member(1))
	if ran, err := c.AtDoor(0, func() error { return os.ErrInvalid }); !ran || !errors.Is(err, os.ErrInvalid) {
		t.Errorf("ran %v, %v", ran, err)
	}
	h.atDoor(c)() // it is free again
	h.must(c.Release())
	if ran, err := c.AtDoor(0, func() error { return nil }); ran || !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the release: ran %v, %v", ran, err)
	}
}

// docs/PROTOCOL.md says where the door is.
func TestDocumentOfTheDoor(t *testing.T) {
	page, err := os.ReadFile("../docs/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	wantWords(t, string(page), fmt.Sprintf("the door, at `%#x` (2^41)", doorAt))
}

func BenchmarkAtDoor(b *testing.B) {
	h := newHost(b)
	c := h.claim(member(1))
	for b.Loop() {
		if _, err := c.AtDoor(0, func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
