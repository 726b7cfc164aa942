// SPDX-License-Identifier: MIT

// Package demo shows the datapath at work under real QUIC.
//
// A server in C (server/), linked with libmsquicxdp.a and with the host of
// tests/host in the place of MsQuic, speaks QUIC by ngtcp2 and GnuTLS. Clients
// are quic-go, over plain kernel sockets. They live in two network namespaces
// joined by a veth pair, which have no name and are gone with the last
// descriptor that refers to them, whatever ends this program.
//
//	client namespace               server namespace
//	quic-go ── c0 ═══ veth ═══ s0 ── kernel ── libmsquicxdp.a ── ngtcp2
//
// [Run] does all of it; cmd is the program that ./build.sh demo starts.
package demo
