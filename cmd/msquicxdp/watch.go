// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// change is a line that watch prints as JSON.
type change struct {
	Time   time.Time `json:"time" about:"when it was seen, RFC 3339"`
	Event  string    `json:"event" about:"held: it was there at the start; claimed; changed: its tier is another; released"`
	Holder holder    `json:"holder" about:"whose claim it is"`
}

func newWatch(t *tool) *cobra.Command {
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Follow how claims come and go",
		Long: `Prints a line for every claim there is, and then for every one that comes,
changes or goes, until it is interrupted (SIGINT, SIGTERM), which is no error.
With --json a line is a JSON object.

It looks when something happens in the state directory, and at an interval: that
a process was killed leaves no trace there.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if interval < time.Millisecond {
				return fmt.Errorf("--interval %v: want 1ms or more", interval)
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: t.doing(func() error {
			ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			return t.watch(ctx, interval)
		}),
	}
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "look at least every `TIME`")
	return cmd
}

// watch returns when ctx is done.
func (t *tool) watch(ctx context.Context, interval time.Duration) error {
	dir, err := rundir.Open(t.stateDir)
	if err != nil {
		return err
	}
	notices, err := noticesOf(dir.Path())
	dir.Close()
	if err != nil {
		return err
	}
	defer notices.Close()
	defer context.AfterFunc(ctx, func() { notices.Close() })()

	w := watcher{tool: t, appeared: "held"}
	for ctx.Err() == nil {
		if err := w.look(); err != nil {
			return err
		}
		if err := notices.wait(interval); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// watcher prints what is not as it was when it looked before.
type watcher struct {
	*tool
	before   []holder
	appeared string // the event of a claim that was not there before
	trouble  string
}

// look goes on after an error that concerns some of the claims, and says it once.
func (w *watcher) look() error {
	claims, err := w.machine.claims(w.stateDir, false)
	if text := errorText(err); text != w.trouble {
		w.trouble = text
		io.WriteString(w.errs, text)
	}
	var holders []holder
	for _, c := range claims {
		holders = append(holders, w.claimed(c))
	}
	for _, c := range changes(w.before, holders, w.appeared) {
		if err := w.printChange(c); err != nil {
			return err
		}
	}
	w.before, w.appeared = holders, "claimed"
	return nil
}

func (w *watcher) printChange(c change) error {
	now := w.machine.now()
	if w.json {
		c.Time = now.UTC()
		return w.encoder().Encode(c)
	}
	_, err := fmt.Fprintf(w.out, "%s  %-8s  %s\n", now.Format(time.TimeOnly), c.Event, c.Holder.line())
	return err
}

// changes returns what happened from one look to the next, what ended first.
func changes(before, after []holder, appeared string) (list []change) {
	was, is := byIdentity(before), byIdentity(after)
	for _, h := range before {
		if _, there := is[h.identity()]; !there {
			list = append(list, change{Event: "released", Holder: h})
		}
	}
	for _, h := range after {
		old, there := was[h.identity()]
		switch {
		case !there:
			list = append(list, change{Event: appeared, Holder: h})
		case old != h:
			list = append(list, change{Event: "changed", Holder: h})
		}
	}
	return list
}

func byIdentity(list []holder) map[holder]holder {
	m := make(map[holder]holder, len(list))
	for _, h := range list {
		m[h.identity()] = h
	}
	return m
}

// identity is what does not change in a claim: its tier is written down when
// the sockets are bound.
func (h holder) identity() holder {
	h.Tier = ""
	return h
}
