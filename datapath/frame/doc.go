// SPDX-License-Identifier: MIT

// Package frame writes and reads the headers of UDP datagrams on Ethernet:
// Ethernet II, IPv4 or IPv6, UDP.
//
// A [Flow] is what all datagrams of one send have in common. [Headers] are made
// of it once, and then put in front of each payload:
//
//	var h frame.Headers
//	if err := h.Set(&flow); err != nil { ... }
//	b := room[:h.Len()+copy(room[h.Len():], payload)]
//	err := h.Put(b, frame.Partial)
//
// [Parse] is the way back, for frames that the classifier let through. It takes
// what the kernel would deliver to a socket, less what the classifier leaves to
// the kernel: VLAN tags, fragments, IPv6 extension headers.
//
// # Memory
//
// Nothing is allocated and nothing is kept. Headers.Put only writes the bytes
// of the headers, and never reads them back, so they may lie in memory that
// others write too. Parse reads twice, so it needs a frame that is private.
//
// # Byte order
//
// Numbers in structures are in host byte order; addresses are bytes as they are
// sent. Lengths are in bytes.
//
// Everything here is a pure function of its arguments.
package frame
