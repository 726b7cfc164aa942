// SPDX-License-Identifier: MIT

package main

import (
	"github.com/spf13/cobra"
)

// newRoot returns the tree of commands.
func newRoot(t *tool) *cobra.Command {
	root := &cobra.Command{
		Use:   "msquicxdp",
		Short: "Show how MsQuic servers use XDP, and administer their ports",
		Long: `msquicxdp shows whether XDP is in use and why not, shows which process has
which port, says what would happen to one that asks for a port, and reserves
ports.

Exit status: 0 if it is done; 1 if 'ports explain' says that the port would be
refused, or 'status' that XDP is not in use; 2 if the command line is wrong; 3 if
it could not be done.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().BoolVar(&t.json, "json", false, "print JSON")
	root.AddCommand(newVersion(t), newPorts(t), newStatus(t))
	return root
}

func newPorts(t *tool) *cobra.Command {
	ports := &cobra.Command{
		Use:   "ports",
		Short: "Ports: who has them, and for whom they are reserved",
		Long: `A port is a protocol and a number in one network namespace. It is free, or has
one owner, or is shared by CIBIR listeners with different identifiers. All
commands look at the network namespace that they run in, unless they say
otherwise; 'ip netns exec NAME msquicxdp …' and 'nsenter -n -t PID msquicxdp …'
look at another.

Processes share their state below /run/msquicxdp, or where --state-dir or the
environment variable MSQUICXDP_STATE_DIR says. Reservations are kept in
/var/lib/msquicxdp/reservations, or where --reservations or MSQUICXDP_RESERVATIONS
says.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := ports.PersistentFlags()
	flags.StringVar(&t.stateDir, "state-dir", "", "look for the state of processes in `DIR`")
	flags.StringVar(&t.reservations, "reservations", "", "keep reservations in `FILE`")
	ports.AddCommand(newList(t), newExplain(t), newWatch(t), newReserve(t), newRelease(t), newReservations(t), newApply(t))
	return ports
}
