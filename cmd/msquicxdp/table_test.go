// SPDX-License-Identifier: MIT

package main

import "testing"

func TestTable(t *testing.T) {
	rows := table{{"PORT", "ID", "PROGRAM"}, {"udp/4433", "0a0b", "a-very-long-name"}, {"udp/1", "-", "ä"}}
	for width, want := range map[int]string{
		0:  "PORT      ID    PROGRAM\nudp/4433  0a0b  a-very-long-name\nudp/1     -     ä\n",
		32: "PORT      ID    PROGRAM\nudp/4433  0a0b  a-very-long-name\nudp/1     -     ä\n",
		31: "PORT     ID   PROGRAM\nudp/4433 0a0b a-very-long-name\nudp/1    -    ä\n",
		24: "PORT     ID   PROGRAM\nudp/4433 0a0b a-very-lo+\nudp/1    -    ä\n",
		4:  "PORT     ID   PROGRAM\nudp/4433 0a0b a-very-+\nudp/1    -    ä\n",
	} {
		if got := rows.text(width); got != want {
			t.Errorf("width %d:\n%swant:\n%s", width, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		s     string
		width int
		want  string
	}{{"", 8, ""}, {"exactly8", 8, "exactly8"}, {"longer-8", 7, "longer+"}, {"übergröße", 8, "übergrö+"}} {
		if got := cut(test.s, test.width); got != test.want {
			t.Errorf("cut(%q, %d) = %q, want %q", test.s, test.width, got, test.want)
		}
	}
}

func TestWrap(t *testing.T) {
	const s = "one two three"
	for width, want := range map[int]string{0: s, 13: s, 12: "one two\nthree", 7: "one two\nthree", 6: "one\ntwo\nthree", 1: "one\ntwo\nthree"} {
		if got := wrap(s, width); got != want {
			t.Errorf("width %d: %q, want %q", width, got, want)
		}
	}
}
