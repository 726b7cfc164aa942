// SPDX-License-Identifier: MIT

// Package rules decides who may have which port.
//
// A port (protocol, number, network namespace) is at any time free, exclusive
// or shared. Exclusive are MsQuic listeners without CIBIR, QTIP listeners and
// every client socket. CIBIR listeners of one user, of one encoding and with
// distinct identifiers share. [Decide] is the only judge of that. Of foreign
// programs, which do not ask, it says what the kernel does.
//
// The rules are two tables: claims is for sockets of ours, strangers for
// foreign ones. docs/PORTS.md is printed from them.
//
// Nothing here does I/O.
package rules

//go:generate go test -run ^TestDocument$ -update .
