// SPDX-License-Identifier: MIT

// Package notice says to other processes what a datapath has got of the AF_XDP that
// it asked for, and why not more: a file in the state directory of the network
// namespace, which counts as long as its writer has a lock in it. So it can be read
// whether the process runs, is stopped, or has no AF_XDP at all.
//
// docs/PROTOCOL.md specifies the file.
package notice
