// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"strconv"
	"time"
)

// pace remembers counters from one look to the next, to show how fast they grow.
type pace struct {
	at       time.Time // of the look before; zero at the first
	was, now map[string]uint64
	seconds  float64 // since the look before
}

// begin begins a look.
func (p *pace) begin(at time.Time) {
	p.now = map[string]uint64{}
	p.seconds = 0
	if !p.at.IsZero() {
		p.seconds = at.Sub(p.at).Seconds()
	}
}

// end ends it.
func (p *pace) end(at time.Time) { p.at, p.was = at, p.now }

func (p *pace) first() bool { return p.at.IsZero() }

// count shows a counter, and its rate where it has grown.
func (p *pace) count(what string, n uint64) string {
	p.now[what] = n
	text := strconv.FormatUint(n, 10)
	was, known := p.was[what]
	if !known || n <= was || p.seconds <= 0 {
		return text
	}
	return fmt.Sprintf("%s +%.0f/s", text, float64(n-was)/p.seconds)
}
