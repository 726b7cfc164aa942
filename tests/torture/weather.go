// SPDX-License-Identifier: MIT

package torture

import (
	"sync"
	"time"
)

// weather remembers when somebody, or everybody, was disturbed.
type weather struct {
	mu     sync.Mutex
	storms []storm
}

// storm is a disturbance. until is zero while it lasts.
type storm struct{ from, until time.Time }

// What is sent shortly before a disturbance may not have come, and what follows it may wait:
// for a neighbour to be asked for again, say.
const (
	beforeStorm = 100 * time.Millisecond
	afterStorm  = 1500 * time.Millisecond
	maxStorms   = 4096
)

func (w *weather) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.storms); n > 0 && w.storms[n-1].until.IsZero() {
		return
	}
	if len(w.storms) == maxStorms {
		w.storms = append(w.storms[:0], w.storms[maxStorms/2:]...)
	}
	w.storms = append(w.storms, storm{from: time.Now()})
}

func (w *weather) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.storms); n > 0 && w.storms[n-1].until.IsZero() {
		w.storms[n-1].until = time.Now()
	}
}

// clear reports whether there was no disturbance between two moments, nor just before or after.
func (w *weather) clear(from, to time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.storms) - 1; i >= 0; i-- {
		s := w.storms[i]
		if !s.until.IsZero() && s.until.Add(afterStorm).Before(from) {
			return true
		}
		if s.from.Add(-beforeStorm).Before(to) {
			return false
		}
	}
	return true
}

// since returns from when on it has been clear; now, if it is not.
func (w *weather) since() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.storms) == 0 {
		return time.Time{}
	}
	last := w.storms[len(w.storms)-1]
	if last.until.IsZero() {
		return time.Now()
	}
	return last.until
}
