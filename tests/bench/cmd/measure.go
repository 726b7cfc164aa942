// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// measureAll runs every case, ours and plain in turn: A B A B. The report has all that succeeded.
func measureAll(ctx context.Context, o *options, list []benchCase, progress io.Writer) (*report, error) {
	state, err := os.MkdirTemp("", "msquicxdp-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(state)
	os.Setenv(rundir.Env, state) // claims on ports are nobody else's affair
	b, err := newBench(o)
	if err != nil {
		return nil, err
	}
	r, err := newReport(b)
	if err != nil {
		return nil, err
	}
	err = eachGroup(ctx, list, progress, func(group []benchCase) error { return b.measureGroup(ctx, r, group) })
	if b.xdp != nil && b.xdp.unthreaded != nil {
		r.Unthreaded = b.xdp.unthreaded.Error()
	}
	return r, err
}

// eachGroup measures one group of cases after the other, also behind one that fails.
func eachGroup(ctx context.Context, list []benchCase, progress io.Writer, measure func([]benchCase) error) error {
	var failed []error
	for done := 0; done < len(list) && ctx.Err() == nil; {
		group := groupAt(list[done:])
		fmt.Fprintf(progress, "bench: %d/%d %s\n", done+1, len(list), group[0].name())
		done += len(group)
		if err := measure(group); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", group[0].name(), err))
		}
	}
	return errors.Join(append(failed, context.Cause(ctx))...)
}

// groupAt returns the first cases of a list that are measured in turn with each other: those of a
// job by AF_XDP, or one.
func groupAt(list []benchCase) []benchCase {
	n := 1
	for n < len(list) && list[0].link == linkXDP && list[n].link == linkXDP && list[n].job == list[0].job {
		n++
	}
	return list[:n]
}

func (b *bench) measureGroup(ctx context.Context, r *report, group []benchCase) error {
	switch c := group[0]; {
	case c.link == linkXDP:
		return b.measureXDP(ctx, r, group)
	case c.job == jobStages:
		return b.measureStages(ctx, r, c)
	case c.job == jobClassifier:
		return b.measureClassifier(ctx, r, c)
	default:
		return b.measure(ctx, r, c)
	}
}

func (b *bench) measure(ctx context.Context, r *report, c benchCase) error {
	sides := []string{sideOurs, sidePlain}
	if c.job == jobMicro {
		sides = sides[:1]
	}
	runs := map[string][]metrics{}
	for range b.o.repeats {
		for _, side := range sides {
			_, m, err := b.tryRun(ctx, c, side)
			if err != nil {
				return fmt.Errorf("%s: %w", side, err)
			}
			runs[side] = append(runs[side], m)
		}
	}
	r.add(c, runs)
	return nil
}

// maxTries bounds how often a run is repeated that measured nothing: on a busy
// machine one side may not get a processor in the whole time of a short run.
const maxTries = 5

func (b *bench) tryRun(ctx context.Context, c benchCase, side string) (r outcome, m metrics, err error) {
	for range maxTries {
		r, err = b.run(ctx, c, side)
		if ctx.Err() != nil {
			return r, nil, errors.New("interrupted")
		}
		if err == nil {
			m, err = metricsOf(c, r)
		}
		if !errors.Is(err, errNothing) {
			return r, m, err
		}
	}
	return r, nil, fmt.Errorf("%d times: %w", maxTries, errNothing)
}
