// SPDX-License-Identifier: MIT

// Package torture hurts servers that share a port and a queue, and looks that nobody else
// notices.
//
// The servers are processes on one UDP port of one end of a veth pair: some on AF_XDP, all in
// the pool of one queue, some on kernel sockets. Most are small ones in C (server/), linked
// with libmsquicxdp.a, that answer raw datagrams; some are those of the demo, which speak QUIC.
// At the other end are clients that check every answer: who gave it, and every byte.
//
// A [Conductor] kills, stops and disturbs in an order that is a function of the seed alone, as
// long as it is told to, and in between lets all be quiet and takes stock (calm.go). Two of the
// servers, the witnesses, are never hurt themselves but when all are. What must never be is a
// violation, and ends it: actions.go says what is done, and the places where violate is called
// what must not come of it.
//
// All of it is in namespaces of its own, of processes, mounts and networks: whatever ends the
// program, nothing is left. cmd is the program that ./build.sh torture starts.
package torture
