// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msquicxdp/msquicxdp/portres/reserve"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// applied is what apply prints as JSON.
type applied struct {
	Excluded string   `json:"excluded" about:"ports that the kernel no longer gives to programs that ask for any port, such as 4433-4440,9000"`
	Added    string   `json:"added" about:"those of them that are new"`
	Removed  string   `json:"removed" about:"ports that it may give again"`
	Enforced []string `json:"enforced" about:"tokens of the reservations that the kernel enforces"`
}

func newApply(t *tool) *cobra.Command {
	var o reserve.ApplyOptions
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make the kernel respect the reservations",
		Long: `Makes the kernel respect the reservations in this network namespace, and forget
those that were released. It no longer gives their ports to programs that ask
for any port (net.ipv4.ip_local_reserved_ports; what others have put there
stays), and refuses those that are to be enforced to all but the users named
(cgroup programs, which live on without this one). It may be run at any time and
again. After a boot the systemd unit msquicxdp-ports.service runs it.

It needs root, or CAP_NET_ADMIN, and to enforce CAP_BPF as well.`,
		Args: cobra.NoArgs,
		RunE: t.doing(func() error { return t.apply(o) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Cgroup, "cgroup", "", "enforce for this cgroup (v2) `DIR` only")
	flags.StringVar(&o.BPFFS, "bpffs", "", "BPF file system `DIR` (default /sys/fs/bpf)")
	return cmd
}

// apply prints what was done also if something else could not be.
func (t *tool) apply(o reserve.ApplyOptions) error {
	dir, err := rundir.Open(t.stateDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	done, err := t.store().Apply(dir, o)
	v := applied{done.Excluded, done.Added, done.Removed, []string{}}
	for _, token := range done.Enforced {
		v.Enforced = append(v.Enforced, token.String())
	}
	return errors.Join(t.print(v.text(), v), err)
}

func (a *applied) text() string {
	return fmt.Sprintf("excluded: %s\n   added: %s\n removed: %s\nenforced: %s\n",
		orNothing(a.Excluded), orNothing(a.Added), orNothing(a.Removed), orNothing(strings.Join(a.Enforced, " ")))
}
