// SPDX-License-Identifier: MIT

// Package killpoint lets tests kill a process at every point of an operation where it
// matters to others: before and after each system call that changes what they see, and
// after each store into memory that they share.
//
// The process is a child that a test starts by [Run], which traces it (ptrace), all of
// its threads. It says by [Begin] and [End] where the operation is, and by [Watch] and
// [Unwatch] where one thread is to be followed instruction by instruction. Run kills it at
// the n-th point, so a test runs it for n = 1, 2, ... until it comes to its end alive; see
// [Each]. Threads run as they like, so the n-th point is not the same every time, but every
// point is one at which a process can die.
//
// For tests, as root, on amd64 and arm64.
package killpoint
