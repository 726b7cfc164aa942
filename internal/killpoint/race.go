// SPDX-License-Identifier: MIT

//go:build race

package killpoint

const race = true
