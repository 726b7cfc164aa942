// SPDX-License-Identifier: MIT

package main

import (
	"strings"
	"unicode/utf8"
)

// nothing stands in cells for what is not there.
const nothing = "-"

// minLast is how much of the last column stays in the narrowest terminal.
const minLast = 8

// table lays out rows of cells in columns. The first row is the title.
type table [][]string

func (t *table) add(cells ...string) { *t = append(*t, cells) }

// text returns the lines of the table. Where they have more than width columns,
// the gaps become narrow, then the last cell is cut, and no other: it is the one
// for names that people chose. A width of 0 has no end.
func (t table) text(width int) string {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	last := len(widths) - 1
	gap := 2
	if width > 0 {
		rest := width - sum(widths[:last]) - gap*last
		if rest < widths[last] {
			gap = 1
			rest += last
		}
		widths[last] = max(rest, minLast)
	}
	var b strings.Builder
	for _, row := range t {
		for i, cell := range row[:last] {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+gap))
		}
		b.WriteString(cut(row[last], widths[last]) + "\n")
	}
	return b.String()
}

func sum(list []int) (n int) {
	for _, i := range list {
		n += i
	}
	return n
}

// cut shortens a name, and marks it with a plus as ps(1) does.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "+"
}

// wrap breaks a sentence into lines, at blanks. A width of 0 has no end.
func wrap(s string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Split(s, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case width > 0 && column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
