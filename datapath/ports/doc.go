// SPDX-License-Identifier: MIT

// Package ports gets a listener its port, and keeps it.
//
// A [Lease] is all that belongs to that: the claim by which other processes know
// of the holder (package portres), the kernel's sockets closed to strangers
// (portres/hold), and for a CIBIR listener the steering that gives each datagram
// to the process whose identifier it carries (datapath/steering). The opener of a
// listener makes its sockets through the lease:
//
//	lease, err := ports.Acquire(request)
//	fd, err := lease.Socket(options) // once for each socket
//	err = lease.Seal()
//	...
//	lease.Release() // after the sockets are closed
//
// Nothing is shared before Seal has returned, and everything that was asked for
// is in force when it has.
//
// The processes of a shared port need no daemon. Each of them answers on a unix
// socket in the state directory, and hands to a newcomer what it needs to join:
// the descriptors of the steering, and where the newcomer may not make one itself,
// a bound socket. docs/PROTOCOL.md specifies both.
package ports
