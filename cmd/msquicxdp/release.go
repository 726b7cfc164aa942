// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/msquicxdp/msquicxdp/portres/reserve"
)

func newRelease(t *tool) *cobra.Command {
	var token reserve.Token
	var ports reserve.Range
	return &cobra.Command{
		Use:   "release TOKEN | PROTO PORT[-PORT]",
		Short: "End a reservation",
		Long: `Ends the reservation with this token, or of exactly these ports. Claims that
somebody has on them stay. 'msquicxdp ports apply' then makes the kernel forget
it in a network namespace. Only root may release.`,
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) == 1 {
				token, err = reserve.ParseToken(args[0])
				return err
			}
			return rangeArgs(&ports)(cmd, args)
		},
		ValidArgsFunction: t.completeRelease,
		RunE:              t.doing(func() error { return t.release(token, ports) }),
	}
}

// release ends the reservation with a token, or that of a range if the token is 0.
func (t *tool) release(token reserve.Token, ports reserve.Range) error {
	store := t.store()
	r, err := find(store, token, ports)
	if err != nil {
		return err
	}
	if err := store.Delete(r.Token); err != nil {
		return err
	}
	fmt.Fprintln(t.errs, notApplied)
	shown := t.reservation(&r)
	return t.print("released "+shown.ports()+"\n", shown)
}

// find returns the reservation with a token, or that of a range if the token is
// 0. For a token that nobody has it leaves the refusal to Delete.
func find(store *reserve.Store, token reserve.Token, ports reserve.Range) (reserve.Reservation, error) {
	if token == 0 {
		return store.Lookup(ports)
	}
	list, err := store.List()
	i := slices.IndexFunc(list, func(r reserve.Reservation) bool { return r.Token == token })
	if i < 0 {
		return reserve.Reservation{Token: token}, err
	}
	return list[i], nil
}

// completeRelease offers the tokens, each with its ports, and the protocols.
func (t *tool) completeRelease(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	offers, directive := completeProto(cmd, args, word)
	if len(args) == 0 {
		list, _ := t.store().List() // without it there is nothing to offer
		for _, r := range list {
			offers = append(offers, cobra.CompletionWithDesc(r.Token.String(), r.Range.String()))
		}
	}
	return offers, directive
}
