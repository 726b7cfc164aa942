// SPDX-License-Identifier: MIT

// Package inspect finds out, from outside and without disturbing anybody, whether the
// processes of a network namespace use AF_XDP, and if not why.
//
// What there is comes from five places, none of which takes part in anything:
//
//   - the kernel's interfaces, and which XDP program is on them (rtnetlink, ethtool);
//   - the maps of the program, if it is a classifier (package classifier);
//   - the members of pools, who tell of them (package pool);
//   - the notices of datapaths that asked for AF_XDP (package notice);
//   - the claims on ports (package portres).
//
// No program is attached, kept or replaced, no slot and no seat is taken, and no file
// is written.
package inspect
