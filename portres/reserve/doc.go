// SPDX-License-Identifier: MIT

// Package reserve keeps what an administrator lays down for ports: who may
// claim them, and whether one holder has them alone or CIBIR listeners share
// them. A reservation outlives every process and the machine's being switched
// off. It is not held by anybody: the port is free until somebody claims it.
//
// # The store
//
// A [Store] is a text file, /var/lib/msquicxdp/reservations unless the
// environment variable MSQUICXDP_RESERVATIONS names another. It has the verbs
// that Windows has for persistent port reservations: [Store.Create] for a range
// that overlaps no other, [Store.Lookup] and [Store.DeleteRange] for exactly a
// range that was created, [Store.Delete] for the token that Create returned. UDP
// and TCP are reserved apart.
//
// The file is replaced as a whole, under a lock, and synced: whatever ends the
// process or the machine, the old or the new content is there. Who may write it
// and its directory, only root by default, may change reservations; all may
// read them. A file that is damaged, or that others than root and this user
// could have written, is an error and never read in part.
//
// # The kernel
//
// [Store.Apply] makes the kernel respect the reservations in a network
// namespace. The kernel no longer chooses the ports for sockets that ask for
// any, and refuses those that are to be enforced to everybody who is not
// permitted. Apply once in each namespace, after each change and after each
// start of the machine: packaging/msquicxdp-ports.service does the latter.
//
// Enforcement sees bind(2), with a port or without one. It does not see
// sockets that were bound before, or were inherited. The kernel tells it the
// real user and the real group of the calling thread, as numbers of the initial
// user namespace: a process that is in a permitted group only by a supplementary
// one may claim the port, but is refused where the reservation is enforced. Root
// is not exempt. In a container, the ids are those outside it.
//
// # Claims
//
// [For] tells the rules for claims (package portres/rules) about one port.
package reserve
