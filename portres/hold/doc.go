// SPDX-License-Identifier: MIT

// Package hold keeps a port for us in the kernel, and strangers off it.
//
// A listener has several sockets on one port, so they all set SO_REUSEPORT, and
// the kernel lets in whoever sets it too and is of the same user. A [Door] binds
// such a group and shuts it behind them:
//
//   - The first socket is bound without SO_REUSEPORT. That is the kernel's atomic
//     test against everybody, and it makes port 0 a port that nobody has. It is
//     not a member: it only holds the port while the members bind.
//   - Owned (CAP_CHOWN): every socket is given, before it binds, to a user that
//     nobody is ([OwnerUID]). The kernel compares the owners of the sockets, so it
//     refuses all others, root included. There is no moment when a stranger fits
//     in.
//   - Guarded (no privilege, UDP): the first socket stays, as the guard. It is
//     bound to an interface that does not exist, so it receives nothing, and it
//     takes SO_REUSEPORT off again when the members are bound: whoever wants to
//     bind meets it first, and is refused. Two holes remain for a socket of the same
//     user with SO_REUSEPORT: it may be bound to an interface, and it may slip in
//     while the guard is off, which [Door.Admit] needs. The second is looked for
//     every time, the first by [Door.Intruders].
//   - Unguarded: what is left. The kernel refuses other users and sockets without
//     SO_REUSEPORT.
//   - A single socket that nobody joins needs none of this: without SO_REUSEPORT it
//     is owned in effect.
//
// Probes of the door's own, made like a stranger, show whether the tier holds.
// Nothing rests on them but the answer of [Door.Tier].
//
// # What the kernel does
//
// Measured on Linux 6.18; the tests fail where another kernel differs.
//
//   - UDP asks the sockets of the port in the order of their hash chain, and the
//     first that conflicts decides. AF_INET6 sockets with SO_REUSEPORT are appended,
//     all others put in front. So a guard that is bound first is asked first by
//     everybody, for any address of an AF_INET6 socket, a mapped IPv4 one too; but
//     not of an AF_INET socket: there is no guarded tier for those.
//   - A bound socket that is bound to an interface leaves its group. The first time
//     needs no privilege, since Linux 5.7.
//   - TCP asks all sockets of the port, but first a cache of the last SO_REUSEPORT
//     user and address, which a guard does not clear: no guarded tier. A stranger
//     may fill that cache by binding an address beside ours, after which [::] is
//     given to it even where our socket has no SO_REUSEPORT: no tier at all for an
//     address of TCP other than [::].
//   - A group is numbered in the order of bind, and when a socket leaves, the last
//     takes its number. The first socket leaves when one member is there, so the
//     members are numbered from 0, as a classic BPF program wants it.
package hold
