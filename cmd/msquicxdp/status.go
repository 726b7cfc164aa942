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

	"github.com/msquicxdp/msquicxdp/datapath/inspect"
)

func newStatus(t *tool) *cobra.Command {
	var (
		watch    bool
		interval time.Duration
		only     string
	)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether XDP is in use, and why not",
		Long: `Says in its first line whether XDP is in use in this network namespace, and if
not why. Then it shows the interfaces with their XDP programs and how many receive
queues are served; the members, which are datapaths that share queues; where the
frames of each queue are; the members' sockets with what the kernel dropped; the
rules by which packets find a member; what became of packets, by reason; and the
ports that kernel sockets serve alone, with the reason.

It disturbs nobody: it attaches nothing, takes no place, and writes no file. Run
it as root. As another user who may make claims it sees all but rules and
packets, which need CAP_SYS_ADMIN; what cannot be seen is said.

The exit status is 1 if XDP is not in use. With --watch it is shown again and
again, with rates, until it is interrupted (SIGINT, SIGTERM), which is no error.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if interval < time.Millisecond {
				return fmt.Errorf("--interval %v: want 1ms or more", interval)
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: t.doing(func() error {
			s := statusOf{tool: t, only: only}
			if !watch {
				return s.show()
			}
			ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			return s.watch(ctx, interval)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&only, "interface", "", "show this interface only: `NAME`")
	flags.BoolVar(&watch, "watch", false, "show it again and again, with rates")
	flags.DurationVar(&interval, "interval", time.Second, "with --watch: show it every `TIME`")
	flags.StringVar(&t.stateDir, "state-dir", "", "look for the state of processes in `DIR`")
	return cmd
}

// statusOf shows the status of a network namespace, once or again and again.
type statusOf struct {
	*tool
	only string // interface; "": all
	pace pace
}

// look finds out what there is.
func (s *statusOf) look() (*status, error) {
	r, err := s.machine.inspect(s.stateDir)
	if err != nil {
		return nil, err
	}
	if s.only != "" {
		if r = r.Only(s.only); r == nil {
			return nil, fmt.Errorf("interface %s: there is none of this name in the network namespace", s.only)
		}
	}
	return s.status(r), nil
}

// show prints it once.
func (s *statusOf) show() error {
	now, err := s.look()
	if err != nil {
		return err
	}
	if err := s.print(s.statusText(now), now); err != nil {
		return err
	}
	if !now.InUse {
		return errRefused
	}
	return nil
}

// watch prints it every interval until ctx is done.
func (s *statusOf) watch(ctx context.Context, interval time.Duration) error {
	again := time.NewTicker(interval)
	defer again.Stop()
	for {
		if err := s.redraw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// clear makes a terminal forget what it shows.
const clear = "\x1b[H\x1b[2J"

// redraw prints it in place of what was printed before, where it is a terminal. As JSON it is
// an object a line.
func (s *statusOf) redraw() error {
	now, err := s.look()
	if err != nil {
		return err
	}
	if s.json {
		return s.encoder().Encode(now)
	}
	text := s.statusText(now)
	switch {
	case s.width > 0:
		text = clear + text
	case !s.pace.first():
		text = "\n" + text
	}
	s.pace.end(now.Time)
	_, err = io.WriteString(s.out, text)
	return err
}

// status makes of a report what is printed.
func (t *tool) status(r *inspect.Report) *status {
	v := r.Verdict()
	s := &status{
		Time: t.machine.now().UTC(), InUse: v.InUse, Verdict: printable(v.Sentence), Warnings: printables(v.Warnings),
		Interfaces: []statusInterface{}, Members: []statusMember{}, Queues: []statusQueue{}, Sockets: []statusSocket{},
		Rules: []statusRule{}, Packets: []statusPackets{}, KernelOnly: []statusKernelOnly{},
	}
	for _, err := range r.Hidden {
		s.Hidden = append(s.Hidden, printable(err.Error()))
	}
	for i := range r.Members {
		s.Members = append(s.Members, t.statusMember(r, &r.Members[i]))
	}
	for i := range r.Interfaces {
		s.addInterface(r, &r.Interfaces[i])
	}
	for _, k := range r.KernelOnly() {
		s.KernelOnly = append(s.KernelOnly, t.statusKernelOnly(k))
	}
	return s
}

func printables(list []string) []string {
	clean := []string{} // in JSON an empty list
	for _, s := range list {
		clean = append(clean, printable(s))
	}
	return clean
}
