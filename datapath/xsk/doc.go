// SPDX-License-Identifier: MIT

// Package xsk makes AF_XDP sockets and works their rings, and does nothing else:
// no frames are allotted here, no packets parsed, no programs loaded.
//
// # The four rings
//
//	        own to a socket                       shared by all sockets of a queue
//	RX  kernel ──▶ member  Consumer[Desc]     FILL        members ──▶ kernel  SharedFill
//	TX  member ──▶ kernel  Producer[Desc]     COMPLETION  kernel ──▶ members  SharedCompletion
//
// A queue of an interface has one UMEM, that is memory cut into chunks of one
// size. Whoever comes first registers it ([Create]); others bind to the same queue
// beside it ([Join]), in the same process or another. The kernel takes chunks from
// FILL, writes packets into them, and names them in the RX ring of the socket that
// the XDP program chose. It sends what a TX ring names, and names it again in
// COMPLETION, whoever sent it.
//
// # Who may stop where
//
// RX and TX rings belong to one thread at a time. FILL and COMPLETION lie in memory
// that several processes write, without any lock, so that a member that is killed
// or stopped at any instruction holds up nobody: what it has begun, the next one
// that comes by completes. See [SharedFill] and [SharedCompletion].
//
// # Nothing that is read is trusted
//
// Every member maps FILL and COMPLETION, and who holds a socket's descriptor can map
// its RX and TX. So an index that cannot be is taken for none, every loop has a
// bound, and descriptors are copied out once and checked with [UMEM.Packet]. A lie
// costs packets, never memory safety, and hangs nobody.
//
// # Privileges
//
// To open a socket takes CAP_NET_RAW in the user namespace that owns the network
// namespace. Whoever has got a descriptor needs nothing to map and use it.
//
// The verbs of rings, [Socket.Transmit] and [Socket.Receive] allocate nothing.
package xsk
