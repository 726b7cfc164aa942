// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// listing is what list prints as JSON.
type listing struct {
	Holders []holder `json:"holders" about:"by network namespace, protocol and port"`
}

func newList(t *tool) *cobra.Command {
	var allNamespaces, foreign bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who has which port",
		Long: `Lists every claim: port, what it is for, CIBIR identifier and encoding, how well
the kernel keeps foreign programs off (unguarded, guarded, owned), process,
user, since when, program. Client sockets make no claim: a port of their own is
all they need.

With --foreign it also lists sockets at these ports that belong to no claim. It
takes a socket for a claim's by its process and user, so one whose process is in
another PID namespace can look foreign.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if allNamespaces && foreign {
				return errors.New("--foreign sees the sockets of this network namespace only: run it in the others, without --all-namespaces")
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: t.doing(func() error { return t.list(allNamespaces, foreign) }),
	}
	flags := cmd.Flags()
	flags.BoolVar(&allNamespaces, "all-namespaces", false, "list the claims in all network namespaces")
	flags.BoolVar(&foreign, "foreign", false, "list sockets of other programs at these ports, too")
	return cmd
}

// list prints what it found also if there was an error.
func (t *tool) list(allNamespaces, foreign bool) error {
	claims, err := t.machine.claims(t.stateDir, allNamespaces)
	holders := []holder{} // in JSON an empty list
	for len(claims) > 0 {
		n := samePort(claims)
		for _, c := range claims[:n] {
			holders = append(holders, t.claimed(c))
		}
		if foreign {
			strangers, strangersErr := t.strangers(claims[0].Proto, claims[0].Port, claims[:n])
			holders, err = append(holders, strangers...), errors.Join(err, strangersErr)
			foreign = strangersErr == nil // it would fail for every port
		}
		claims = claims[n:]
	}
	text := "nobody has a claim\n"
	if len(holders) > 0 {
		text = t.holdersText(holders, allNamespaces)
	}
	return errors.Join(t.print(text, listing{holders}), err)
}

// samePort returns how many claims from the first on are on its port.
func samePort(claims []claim) int {
	first := claims[0]
	for i, c := range claims {
		if c.namespace != first.namespace || c.Proto != first.Proto || c.Port != first.Port {
			return i
		}
	}
	return len(claims)
}

// strangers returns who has sockets on a port besides those with claims on it,
// each once, with however many sockets.
func (t *tool) strangers(proto rules.Proto, port uint16, claims []claim) ([]holder, error) {
	held := make([]portres.Held, len(claims))
	for i, c := range claims {
		held[i] = c.Held
	}
	parties, err := t.machine.strangers(proto, port, held)
	var list []holder
	for _, p := range parties {
		if h := t.stranger(proto, port, p); !slices.Contains(list, h) {
			list = append(list, h)
		}
	}
	return list, err
}
