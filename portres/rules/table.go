// SPDX-License-Identifier: MIT

package rules

// A table has a row for each thing that a request can meet, a column for each
// way of asking, and the answer where they cross. The first row and the first
// column that match are taken, so each may rely on those before it not to.
type table struct {
	columns []column
	rows    []row
}

type column struct {
	title string
	match func(encounter) bool
}

type row struct {
	title string
	note  string // what the title does not say, for the document
	match func(encounter) bool
	cells []cell // one for each column
}

type cell struct {
	outcome Outcome
	reason  Reason
}

// locate finds the row and the column. The last ones match everything.
func (t *table) locate(e encounter) (row, column int) {
	for !t.rows[row].match(e) {
		row++
	}
	for !t.columns[column].match(e) {
		column++
	}
	return row, column
}

func anything(encounter) bool { return true }
