// SPDX-License-Identifier: MIT

// Package cibir is MsQuic's CID-based identification and routing: which
// identifier a QUIC datagram carries, and how people write it.
//
// Several server processes share one UDP port. Each has an identifier, which it
// and its clients put into all of their connection IDs, at an agreed place, so
// that a datagram tells by itself to whom it belongs, from the first of a
// connection to the last and whatever address it comes from.
//
// An [ID] is the identifier. An [Encoding] is the agreed place, the same for
// all who share a port, and [Encoding.Find] looks there. It relies on nothing
// but what RFC 8999 promises of every version of QUIC. The BPF programs do the
// same in the kernel, and Find is the reference that they are tested against.
//
// Everything here is a pure function of its arguments.
package cibir
