// SPDX-License-Identifier: MIT

// Package ossock is the kernel kind of socket: UDP with GSO and GRO, and TCP.
//
// It opens kernel sockets, reads them into blocks lent by C, and writes blocks
// that MsQuic filled. It holds no state of its own: everything that lives as
// long as a socket is in its [batch.Endpoint], so nothing is looked up, nothing
// is allocated per datagram, and nothing is left behind when C frees it.
//
// Threads: [Turn] of one endpoint runs on one thread at a time (the worker that
// polls its event queue). [Send] may be called from any thread at any time
// between [Open] and [Quiesce]. Opening and closing happen once each.
//
// All sockets are non-blocking and close-on-exec, in the network namespace of
// the calling thread. System calls on the hot path are raw: they cannot block,
// and so need not tell the Go scheduler.
package ossock
