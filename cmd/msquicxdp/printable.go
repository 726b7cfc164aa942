// SPDX-License-Identifier: MIT

package main

import (
	"strings"
	"unicode"
)

// printable replaces what a terminal would obey, or what would break a line.
// Every text that somebody else chose goes through it before it is printed, as
// JSON too: there the encoder leaves C1 and bidirectional controls alone.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
