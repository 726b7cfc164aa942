// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
)

// quickXDPRepeats is for a quick run: there are many rows, of up to five processes each.
const quickXDPRepeats = 1

// measureXDP runs a job by AF_XDP: the plain loop and every variant, in turn, again and again.
// All rows have the same runs of the plain loop beside them. One that fails is left out.
func (b *bench) measureXDP(ctx context.Context, r *report, rows []benchCase) error {
	if err := b.openXDP(); err != nil {
		return err
	}
	plain := rows[0]
	plain.variant = plainLoop
	runs := map[string][]metrics{}
	repeats := b.o.repeats
	if b.o.quick {
		repeats = quickXDPRepeats
	}
	var failures []error
	for range repeats {
		var left []benchCase
		for _, c := range append([]benchCase{plain}, rows...) {
			_, m, err := b.tryRun(ctx, c, "")
			switch {
			case err == nil:
				runs[c.variant.name] = append(runs[c.variant.name], m)
				left = append(left, c)
			case c.variant.name == plain.variant.name:
				return fmt.Errorf("%s: %w", c.name(), err) // nothing to compare with
			default:
				failures = append(failures, fmt.Errorf("%s: %w", c.name(), err))
			}
		}
		rows = left[1:]
	}
	for _, c := range rows {
		r.add(c, map[string][]metrics{sideOurs: runs[c.variant.name], sidePlain: runs[plainLoop.name]})
	}
	return errors.Join(failures...)
}

// openXDP makes the link for AF_XDP when it is first needed.
func (b *bench) openXDP() (err error) {
	if b.xdp == nil {
		b.xdp, err = newXDPLink()
	}
	return err
}
