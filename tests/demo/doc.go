// SPDX-License-Identifier: MIT

// Package demo shows two servers on one UDP port under real QUIC.
//
// The servers are processes in C (server/), linked with libmsquicxdp.a and with
// the host of tests/host in the place of MsQuic. They speak QUIC by ngtcp2 and
// GnuTLS, and put their CIBIR identifier into their connection IDs. The clients
// are quic-go, over plain kernel sockets; they put in that of the server they want.
// All live in two network namespaces joined by a veth pair, which have no name and
// are gone with the last descriptor that refers to them, whatever ends this
// program.
//
//	client namespace           server namespace
//	                                                                ┌ libmsquicxdp.a ── ngtcp2, 0a0b
//	quic-go ── c0 ═══ veth ═══ s0 ─┬─ AF_XDP, one queue, port 4433 ─┤
//	                               └─ kernel,            port 4433 ─┤
//	                                                                └ libmsquicxdp.a ── ngtcp2, 0c0d
//
// [Run] does all of it: exchanges with both, refusals of those who may not have
// the port, and one server killed in the middle of transfers, and started again,
// while the other is busy. [Path] says which of them ask for AF_XDP. Which way the
// datagrams really went is measured from outside: by the counters of the XDP program
// on s0 and those of the kernel's sockets, by the account that the members of the
// queue's pool give of its frames, and by what the kernel says of their AF_XDP sockets.
// cmd is the program that ./build.sh demo starts.
package demo
