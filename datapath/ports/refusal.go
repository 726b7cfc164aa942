// SPDX-License-Identifier: MIT

package ports

import (
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Refusal says who has the port that the kernel has just refused to a client,
// which makes no claim: its socket is one. It is nil where that cannot be found
// out.
func Refusal(proto rules.Proto, port uint16) error {
	ask := rules.Party{Kind: rules.Client, UID: uint32(unix.Geteuid())}
	var d rules.Decision
	if state, err := rundir.Open(""); err == nil {
		defer state.Close()
		d, err = portres.Ask(state, portres.Spec{Proto: proto, Port: port, Party: ask})
		if err != nil {
			return nil
		}
	} else {
		holders, _ := hold.Holders(proto, port)
		d = rules.Decide(rules.State{Proto: proto, Port: port, Holders: holders}, rules.Request{Party: ask})
	}
	if d.Outcome != rules.Refused || d.Holder == nil {
		return nil
	}
	return &portres.Refused{Decision: d}
}
