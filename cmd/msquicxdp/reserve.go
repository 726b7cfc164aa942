// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/reserve"
)

// notApplied follows a change of reservations, on the standard error.
const notApplied = "For programs that make claims this is so from now on; for the kernel after 'msquicxdp ports apply'."

func newReserve(t *tool) *cobra.Command {
	var r reserve.Reservation
	var exclusive bool
	cmd := &cobra.Command{
		Use:   "reserve PROTO PORT[-PORT]",
		Short: "Reserve a port or a range for users",
		Long: `Reserves ports for users and groups, for good: it survives the end of programs
and of the machine. Nobody else may claim them, root included unless it is named.
Without --encoding one exclusive holder at a time may have each of them (a
listener without CIBIR, a client); with it CIBIR listeners of that encoding
share them, of all the users named. --user and --group may be repeated, and take
several with commas.

Prints the token of the reservation. 'msquicxdp ports apply' then makes the
kernel respect it in a network namespace: it no longer gives the ports to
programs that ask for any port, and with --enforce refuses them to all others.
Only root may reserve.`,
		Example: `  msquicxdp ports reserve udp 4433 --user www-data --name web
  msquicxdp ports reserve udp 4433-4440 --encoding 2@9/9 --user 1000,1001 --group quic --enforce`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := rangeArgs(&r.Range)(cmd, args); err != nil {
				return err
			}
			shared := r.Encoding != cibir.Encoding{}
			if exclusive && shared {
				return errors.New("--encoding is for ports that are shared: leave out --exclusive or --encoding")
			}
			r.Exclusive = !shared
			return r.Validate()
		},
		ValidArgsFunction: completeProto,
		RunE:              t.doing(func() error { return t.reserve(r) }),
	}
	flags := cmd.Flags()
	flags.BoolVar(&exclusive, "exclusive", false, "for exclusive holders (default without --encoding)")
	flags.Func("encoding", "for CIBIR listeners of encoding `L@S/D` (see explain)", setter(&r.Encoding, cibir.ParseEncoding))
	flags.Func("user", "permit user `USER`, by name or number", accountsFlag(&r.UIDs, parseUser))
	flags.Func("group", "permit group `GROUP`, by name or number", accountsFlag(&r.GIDs, parseGroup))
	flags.StringVar(&r.Name, "name", "", "call the reservation `NAME`, for people")
	flags.BoolVar(&r.Enforce, "enforce", false, "have the kernel refuse them to all others")
	return cmd
}

func (t *tool) reserve(r reserve.Reservation) error {
	store := t.store()
	token, err := store.Create(r)
	if err != nil {
		return err
	}
	made, err := store.Lookup(r.Range)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.errs, notApplied)
	return t.print(token.String()+"\n", t.reservation(&made))
}
