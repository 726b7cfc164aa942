// SPDX-License-Identifier: MIT

// Package sockdiag finds out who is bound to a port.
//
// [Find] asks the kernel (NETLINK_SOCK_DIAG, any user may) for the sockets of
// one port in the network namespace of the calling thread. [Owners] looks their
// processes up in /proc, as far as the caller may look there.
//
// What it returns is a picture of a moment: good for naming a culprit and for
// noticing an intruder, never a lock. A socket that was made but not bound is
// not in it.
package sockdiag
