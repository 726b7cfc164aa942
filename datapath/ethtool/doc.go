// SPDX-License-Identifier: MIT

// Package ethtool asks, by ethtool's ioctl, how many receive queues an interface has, and how
// it spreads packets over them: the key and the indirection table of its Toeplitz hash.
//
// Who knows the latter can choose a port so that the answers come by a certain queue. So
// what is only nearly so is refused: another hash, or a table that is not looked up by
// the low bits of it. No privilege is needed.
package ethtool
