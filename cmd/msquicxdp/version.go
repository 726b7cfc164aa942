// SPDX-License-Identifier: MIT

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/msquicxdp/msquicxdp/portres"
)

// version is that of the library, MSQUICXDP_VERSION in msquicxdp.h.
const version = "0.1.0"

type versions struct {
	Version string `json:"version" about:"of this program, and of the library that it comes with"`
	Claims  int    `json:"claims" about:"version of the protocol for claims that it speaks"`
}

func newVersion(t *tool) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: t.doing(func() error {
			v := versions{version, portres.Version}
			return t.print(fmt.Sprintf("msquicxdp %s, protocol for claims %d\n", v.Version, v.Claims), v)
		}),
	}
}
