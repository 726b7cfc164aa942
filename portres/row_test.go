// SPDX-License-Identifier: MIT

package portres

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

var (
	since = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

	rows = []struct {
		party rules.Party
		text  string
	}{
		{rules.Party{Kind: rules.CIBIR, Process: 4711, Program: "server", UID: 61001, Since: since, ID: idOf(0x0a0b), Encoding: nine, Tier: rules.Owned, XDP: true},
			"pid=4711 program=server uid=61001 since=2026-03-04T05:06:07Z kind=cibir id=0a0b encoding=2@9/9 tier=owned xdp=yes"},
		{rules.Party{Kind: rules.Listener, Process: 1, Program: "später", Since: since},
			"pid=1 program=später uid=0 since=2026-03-04T05:06:07Z kind=listener tier=unguarded xdp=no"},
	}
)

func TestRows(t *testing.T) {
	for _, test := range rows {
		row := formatRow(test.party)
		if len(row) != rowSize || row[rowSize-1] != '\n' || strings.TrimSpace(string(row)) != test.text {
			t.Errorf("%d bytes %q, want %q", len(row), row, test.text)
		}
		if got := parseRow(row); got != test.party {
			t.Errorf("%q is read as %+v", row, got)
		}
	}
}

// The longest that any field can be.
func TestLongestRow(t *testing.T) {
	id, err := cibir.NewID(bytes.Repeat([]byte{0xff}, cibir.MaxIDLength))
	if err != nil {
		t.Fatal(err)
	}
	p := rules.Party{Kind: rules.CIBIR, Process: 1<<31 - 1, Program: strings.Repeat("ä", 100), UID: 1<<32 - 1, Since: since,
		ID: id, Encoding: cibir.Encoding{Length: 20, SourceOffset: 235, DestinationOffset: 235}, XDP: true}
	row := formatRow(p)
	p.Program = p.Program[:maxProgram]
	if got := parseRow(row); got != p || len(row) != rowSize {
		t.Errorf("%d bytes, read as %+v", len(row), got)
	}
}

func TestProgramsThatPlayTricks(t *testing.T) {
	for name, want := range map[string]string{
		"two words":        "two_words",
		"\x1b[2Jcls\a":     "_[2Jcls_",
		"a\nb\tc\u00a0d":   "a_b_c_d",
		"\u202etxt.exe":    "_txt.exe",
		"\xff\xfebytes":    "__bytes",
		"uid=0":            "uid=0",
		"":                 "",
		"\u200bzero\u2028": "_zero_",
	} {
		p := parseRow(formatRow(rules.Party{Program: name, UID: 5}))
		if p.Program != want || p.UID != 5 {
			t.Errorf("%q is read as %q of user %d, want %q", name, p.Program, p.UID, want)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	for _, test := range rows {
		f.Add(formatRow(test.party))
	}
	f.Add([]byte("pid=-1 pid=99999999999999999999 kind=emperor id=0 encoding=9 since=now uid=x tier= xdp"))
	f.Add([]byte("program=\x1b]0;title\x07\xff pid=\x00"))
	f.Fuzz(func(t *testing.T, row []byte) {
		p := parseRow(row)
		for _, r := range p.Program {
			if !unicode.IsPrint(r) || r == ' ' {
				t.Errorf("program %q", p.Program)
			}
		}
		if p.Process < 0 || len(p.Program) > maxProgram {
			t.Errorf("%+v", p)
		}
		if p.Encoding != (cibir.Encoding{}) && p.Encoding.Validate() != nil {
			t.Errorf("encoding %v", p.Encoding)
		}
	})
}
