// SPDX-License-Identifier: MIT

// The runtime reads the cgroup's CPU limit through files that it keeps open, in
// order to size GOMAXPROCS. The size is ours to choose (datapath.Reserve), and
// the descriptors would be the host's.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Package main is the archive: the functions of MsQuic's datapath interface.
//
// The interface itself is C, in the .c files here; include/msquicxdp/cxplat.h
// specifies it. The C lane answers what happens per datagram and runs all
// up-calls. It enters Go through the functions of export.go, once per batch.
// Go never calls C, keeps no Go pointer in C memory, and lets no panic cross.
package main

func main() {}
