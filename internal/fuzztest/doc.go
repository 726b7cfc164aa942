// SPDX-License-Identifier: MIT

// Package fuzztest is what the differential runs share: how long they go on, whence their randomness comes, and
// how bytes are damaged.
//
// A differential run lets a program of bpf/ and its reference in Go judge the same random packets. As a part of the
// tests it is short, and always the same. The environment makes it long; scripts/fuzz.sh sets it.
package fuzztest
