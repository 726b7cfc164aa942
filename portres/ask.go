// SPDX-License-Identifier: MIT

package portres

import (
	"errors"
	"os"
	"slices"

	"github.com/msquicxdp/msquicxdp/portres/hold"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// Ask is [Explain], and where nobody has a claim on the port it looks for
// sockets on it by itself, in the network namespace of the calling thread, which
// must be that of dir. Then they need not be in the Spec. It makes no claim,
// binds nothing, and waits for nobody.
//
// Errors are those of Explain, and of [hold.Holders].
func Ask(dir *rundir.Dir, spec Spec) (rules.Decision, error) {
	claims, err := ListPort(dir, spec.Proto, spec.Port)
	if err != nil {
		return rules.Decision{}, err
	}
	if len(claims) == 0 {
		sockets, err := hold.Holders(spec.Proto, spec.Port)
		if err != nil {
			return rules.Decision{}, err
		}
		spec.Kernel = slices.Concat(spec.Kernel, sockets)
	}
	return Explain(dir, spec)
}

// ListPort is [List] for one port.
func ListPort(dir *rundir.Dir, proto rules.Proto, port uint16) ([]Held, error) {
	list, err := listPort(dir, fileName(proto, port))
	for i := range list {
		list[i].Proto, list[i].Port = proto, port
	}
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return list, err
}

// Strangers returns who has sockets on a port, in the network namespace of the
// calling thread, besides those who have the claims on it. All are shown as
// foreign.
//
// It is for people: a socket is taken for a claim's if it is in the owned tier,
// or belongs to the process that the claim names. A process in another PID
// namespace names itself by another number, so it may be among the strangers.
//
// Errors are those of [hold.Holders].
func Strangers(proto rules.Proto, port uint16, claims []Held) ([]rules.Party, error) {
	sockets, err := hold.Holders(proto, port)
	return slices.DeleteFunc(sockets, func(s rules.Party) bool { return isOurs(s, claims) }), err
}

func isOurs(socket rules.Party, claims []Held) bool {
	return slices.ContainsFunc(claims, func(c Held) bool {
		return socket.UID == hold.OwnerUID || socket.Process != 0 && socket.Process == c.Party.Process
	})
}
