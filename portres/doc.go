// SPDX-License-Identifier: MIT

// Package portres makes claims on ports that hold across processes.
//
// A claim lives as long as its process, whatever ends it: it consists of locks
// on bytes of a file, <protocol>-<port>, in the state directory of the network
// namespace (package rundir). docs/PROTOCOL.md says which bytes. The locks are
// the truth. The text in the file is for people, and nothing but descriptions
// depends on it.
//
// [Acquire] turns the locks of others into a [rules.State], asks [rules.Decide],
// and obeys. All that it looks at and takes happens under one lock of the file,
// the gate, so that any number of claimants in any processes get answers as if
// they had come one after the other.
//
// A claim keeps other claimants off a port, not programs that know nothing of
// claims: that is up to the sockets of package hold.
//
// # Forks
//
// Locks belong to the open file, and so does a socket to its port. A child that
// is forked without exec has copies of both: claim and port remain taken until
// the child has ended too. [Claim.Release] in either of them ends the claim for
// both. Descriptors are close-on-exec: an exec ends the child's part in it.
package portres
