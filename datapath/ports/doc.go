// SPDX-License-Identifier: MIT

// Package ports gets a listener its port, and keeps it.
//
// A [Lease] is all that belongs to that: the claim by which other processes know
// of the holder (package portres), the kernel's sockets closed to strangers
// (portres/hold), and for a CIBIR listener the steering that gives each datagram
// to the process whose identifier it carries (datapath/steering):
//
//	lease, err := ports.Acquire(request)
//	fds := lease.TakeSockets()
//	...
//	lease.Release() // after the sockets are closed
//
// Everything that was asked for is in force when Acquire returns, or Shortfall
// says what is not.
//
// # Sharing
//
// The processes of a shared port need no daemon. Each of them answers on a unix
// socket in the state directory, and hands to a newcomer what it needs to join:
// the descriptors of the steering and of the guard, and where the newcomer may
// not bind a socket itself, bound ones. Who opens a port or joins it is at its
// door meanwhile ([portres.Claim.AtDoor]), so the sockets of a port change at one
// hand at a time, and what a newcomer is given belongs to the sockets that it
// finds. docs/PROTOCOL.md specifies all of that.
package ports
