// SPDX-License-Identifier: MIT

package rules

import "github.com/msquicxdp/msquicxdp/cibir"

// State is all that bears on one port of one network namespace. Who has the
// port in another namespace, or had it and is dead, is not in it.
type State struct {
	Proto       Proto
	Port        uint16
	Holders     []Party      // none: the port is free
	Reservation *Reservation // the administrator's, nil if there is none
}

// Request is a wish for the port of a [State].
type Request struct {
	Party

	// AutoPort: any port would do (port 0). The State is then of one that the
	// kernel might choose.
	AutoPort bool
}

// Reservation is what an administrator has laid down for a port.
type Reservation struct {
	Token string
	Name  string

	Exclusive bool           // for one exclusive holder, else for CIBIR listeners
	Encoding  cibir.Encoding // that these must have

	Permitted bool // to the asking user
	Enforced  bool // against foreign programs too, by cgroup programs
}
