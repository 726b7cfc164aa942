// SPDX-License-Identifier: MIT

// Package route says what addresses this host has and how it reaches a peer,
// as the kernel's own tables have it.
//
//   - [LocalAddresses]: every address that a socket can be bound to.
//   - [LocalAddressFor]: the source address the kernel would choose for a peer.
//   - [Gateways]: the next hops of the default routes.
//   - [Table]: how datagrams go that are sent past the kernel's IP layer.
//
// A Table keeps what it has learned up to date, and has goroutines until it is
// closed. What follows is about the other functions.
//
// # Where the answers come from
//
// All of them come from rtnetlink(7): RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE
// and RTM_GETNEXTHOP, whose messages are in the kernel's uapi headers
// linux/if_link.h, if_addr.h, rtnetlink.h and nexthop.h. Interface types are
// the IANA's ianaiftype, operational states are ifOperStatus of RFC 2863.
// Nothing is cached: each call asks anew, so an answer is as old as the call.
//
// # Threads, namespaces, descriptors
//
// Every function may be called on any thread, C threads included, and answers
// for the network namespace which that thread is in. The call locks the
// goroutine to its thread, opens one close-on-exec netlink socket there, and
// closes it before it returns. What stays open after the first call are the two
// descriptors of the Go runtime's poller, which any timer opens as well. No
// goroutine is started, and none waits: rtnetlink answers inside the system
// call that asks. A call takes tens of microseconds, more where a table is
// long, so it belongs on passive threads and not on the way of a datagram.
//
// No privilege is needed. The socket family AF_NETLINK must be allowed, which
// seccomp filters and systemd's RestrictAddressFamilies= can forbid.
//
// # Errors
//
// A refusal of the kernel is an [*Error] that wraps its [syscall.Errno], so
// errors.Is(err, syscall.EHOSTUNREACH) works.
package route
