// SPDX-License-Identifier: MIT

// Package blocktest plays the C lane (capi/): it makes the blocks that the Go
// datapath borrows, lends them to turns, and takes them back as MsQuic would.
//
// Receive blocks are mapped memory, because Go walks them with arithmetic that
// is allowed on foreign memory only. Each ends where a page without access
// begins, so that nobody, the kernel included, can reach past its end unseen.
// They hold junk where C's recycled blocks hold what was there before.
//
// Endpoints, turns and sends are values of Go: the race detector watches the
// Go heap only.
//
//	pool := blocktest.NewPool(t, 0)
//	turn := pool.NewTurn()
//	ossock.Turn(ep, turn)
//	pool.Return(turn.Chain)
//	pool.Refill(turn)
//
// A pool fails its test when a delivered block does not come back exactly once.
package blocktest
