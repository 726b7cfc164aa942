// SPDX-License-Identifier: MIT

// Package xdp is the AF_XDP side of a datapath.
//
// An [Engine] serves every receive queue of the interfaces that are worth it, with
// one AF_XDP socket each, as one member of the pools of those queues (package
// pool). A MsQuic socket that asks for XDP is added to it: the classifier
// (package classifier) then redirects its datagrams to the engine's slot, and the
// engine hands them to the socket. What the classifier passes goes to the kernel's
// socket of the same port, which is always there.
//
// A received packet is copied out of its frame into a block of C memory before a
// byte of it is looked at, and the frame goes back in the same turn. Nothing of
// MsQuic's ever lies in memory that other processes share.
package xdp
