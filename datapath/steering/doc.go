// SPDX-License-Identifier: MIT

// Package steering gives each datagram that reaches a shared UDP port to the
// process whose CIBIR identifier it carries, over kernel sockets.
//
// The sockets of all processes that share the port form one reuseport group:
// bound to [::] with IPV6_V6ONLY off and SO_REUSEPORT on. A [Group] is the BPF
// program that the kernel asks for a socket of that group, and the maps by which
// it decides. One process makes it with [Create]; the others get its descriptors
// and [Adopt] it. Each then takes one of [MaxSlots] slots, and publishes there
// its identifier and its sockets with [Group.Publish].
//
// A datagram for nobody is dropped and counted, as is one for a process that has
// died: nothing is ever left to the kernel's hash. A socket leaves the group by
// itself when its last descriptor is closed, so that the death of a process needs
// no clearing up. The program and its maps live as long as a socket of the group
// or a Group does.
//
// Who may use which slot and which identifier is not decided here: callers hold
// locks for that. The maps trust all who have their descriptors.
//
// Sockets of a group must not be connected or bound to a device once they are
// bound: the kernel takes them out of it without a word.
//
// Two kinds of datagrams reach a socket past its steering, so that a receiver must
// look at each datagram itself, with [cibir.Encoding.Find], and drop those of
// others: a broadcast or multicast, which the kernel gives to all sockets of a
// port, and what GSO or GRO has coalesced with a datagram before it, which goes
// where the first one goes.
//
// A Group may be used by any number of threads, each for slots of its own;
// [Group.Close] comes last.
package steering
