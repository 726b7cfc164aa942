// SPDX-License-Identifier: MIT

// Package bpf holds the programs that run in the kernel, compiled, and the Go
// declarations of their maps. Who loads them explains them: the steering of
// shared ports is package datapath/steering.
//
// The objects are committed, so that a build needs no BPF compiler.
// scripts/check-bpf.sh shows that they are what the sources say.
package bpf
