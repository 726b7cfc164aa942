// SPDX-License-Identifier: MIT

package rules

import "testing"

// Every cell is filled and has a sentence, and the matrix comes by all of them.
func TestTablesAreComplete(t *testing.T) {
	for _, test := range []struct {
		name  string
		table *table
	}{{"claims", &claims}, {"strangers", &strangers}} {
		reached := map[[2]int]bool{}
		for _, s := range everyState() {
			for _, ask := range asks {
				for _, e := range encounters(s, ask.Request) {
					if e.table() == test.table {
						row, column := test.table.locate(e)
						reached[[2]int{row, column}] = true
					}
				}
			}
		}
		for r, row := range test.table.rows {
			if len(row.cells) != len(test.table.columns) {
				t.Fatalf("%s, %s: %d cells, want %d", test.name, row.title, len(row.cells), len(test.table.columns))
			}
			for c, cell := range row.cells {
				where := test.name + ": " + row.title + " × " + test.table.columns[c].title
				if cell.reason == 0 || sentences[cell] == "" {
					t.Errorf("%s: reason %v, sentence %q", where, cell.reason, sentences[cell])
				}
				if !reached[[2]int{r, c}] {
					t.Errorf("%s: no line of the matrix comes here", where)
				}
			}
		}
	}
}
