// SPDX-License-Identifier: MIT

// Package pool lets many datapaths, of one process or several, use one receive
// queue of an interface by AF_XDP.
//
// The kernel allows one UMEM for each queue. So a queue that is served has one
// pool: a UMEM, a pair of FILL and COMPLETION rings, and a [Member] in each of its
// seats, who has an AF_XDP socket with an RX and a TX ring of its own. The first
// makes the pool, the others join it, and it is gone with the last one. No member
// is special, and there is no daemon.
//
//	member, err := pool.Open(dir, kernel)
//	queue, err := member.Join(ifindex, 0, pool.Options{})
//	...
//	queue.Leave()
//	member.Close()
//
// # What is shared, and what is trusted
//
// Members share the UMEM, FILL and COMPLETION, and a control block. They hold no
// lock in it, so who is killed or stopped at any instruction holds up nobody. A
// word that is read there is checked before it is used: a member that writes lies
// costs packets, never memory safety. A packet is copied out of its chunk before it
// is looked at, and the chunk goes back at once.
//
// # Who is there
//
// Locks of package rundir say who is there, since the kernel ends them with their
// process. Members are connected, each with each, by unix sockets, through which
// they hand each other descriptors, and learn by their end that a member may be gone.
// When it is, any other takes up its receive turns where they ended and gives its
// chunks back. docs/PROTOCOL.md specifies all of that.
//
// # Threads
//
// Open, Join, Leave, Close and Audit may take some milliseconds, and Open and Join
// are called on a thread in the network namespace. Receive turns of a [Queue] belong to
// one thread at a time, and so do its sends; to receive and to send may be two.
package pool
