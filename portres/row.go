// SPDX-License-Identifier: MIT

package portres

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// rowSize is the length of the text about one claim, in bytes. The row of slot
// s begins at s*rowSize; an exclusive claim has row 0.
const rowSize = 256

// maxProgram is how much of a program's name a row holds, in bytes. With it the
// longest row has 230.
const maxProgram = 64

// formatRow describes a claim, padded with blanks to a line of rowSize bytes.
func formatRow(p rules.Party) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "pid=%d program=%s uid=%d since=%s kind=%v",
		p.Process, printable(p.Program), p.UID, p.Since.UTC().Format(time.RFC3339), p.Kind)
	if p.Kind == rules.CIBIR {
		fmt.Fprintf(&b, " id=%v encoding=%v", p.ID, p.Encoding)
	}
	fmt.Fprintf(&b, " tier=%v xdp=%s", p.Tier, yesNo(p.XDP))
	row := bytes.Repeat([]byte{' '}, rowSize)
	copy(row, b.String())
	row[rowSize-1] = '\n'
	return row
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// parseRow reads what it can of a row. Any bytes may come: what makes no sense
// is left out, and what could do something to a terminal is replaced.
func parseRow(row []byte) (p rules.Party) {
	for field := range strings.FieldsSeq(strings.ToValidUTF8(string(row), "?")) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "pid":
			if n, err := strconv.ParseUint(value, 10, 31); err == nil {
				p.Process = int(n)
			}
		case "program":
			p.Program = printable(value)
		case "uid":
			if n, err := strconv.ParseUint(value, 10, 32); err == nil {
				p.UID = uint32(n)
			}
		case "since":
			p.Since, _ = time.Parse(time.RFC3339, value)
		case "kind":
			_ = p.Kind.UnmarshalText([]byte(value))
		case "id":
			p.ID, _ = cibir.ParseID(value)
		case "encoding":
			if e, err := cibir.ParseEncoding(value); err == nil {
				p.Encoding = e
			}
		case "tier":
			_ = p.Tier.UnmarshalText([]byte(value))
		case "xdp":
			p.XDP = value == "yes"
		}
	}
	return p
}

// printable makes one word of a program's name, without control characters, and
// not too long.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, s)
	for len(s) > maxProgram {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
