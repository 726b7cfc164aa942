// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"strings"
	"testing"
)

// committedFacts parses the msquic.json of this tree.
func committedFacts(t *testing.T) *facts {
	t.Helper()
	text, err := os.ReadFile("../../include/abi/msquic.json")
	if err != nil {
		t.Fatal(err)
	}
	f, err := parseFacts(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseFactsRefuses(t *testing.T) {
	tests := []struct {
		name, json, want string
	}{
		{"unknown member", `{"struct": {}}`, `unknown field "struct"`},
		{"unknown member of a field",
			`{"structs": {"S": {"size": 4, "align": 4, "fields": [{"nam": "a"}]}}}`,
			`S: json: unknown field "nam"`},
		{"not an object", `{"status": [1]}`, "want an object"},
		{"twice", `{"status": {"A": 1, "A": 2}}`, "A is there twice"},
		{"odd size", `{"structs": {"S": {"size": 6, "align": 4}}}`,
			"S: size 6 is no multiple of alignment 4"},
		{"no alignment", `{"structs": {"S": {"size": 6}}}`, "alignment 0"},
		{"field outside",
			`{"structs": {"S": {"size": 4, "align": 4, "fields": [{"name": "a", "offset": 2, "size": 4}]}}}`,
			"S.a ends at byte 6 of 4"},
		{"bits outside",
			`{"structs": {"S": {"size": 4, "align": 4, "fields":
			   [{"name": "a", "offset": 3, "size": 1, "bit_offset": 7, "bit_size": 2}]}}}`,
			"S.a ends at byte 5 of 4"},
		{"no signature", `{"functions_to_define": ["F"]}`, "F has no signature"},
		{"no function", `{"signatures": {"F": "void (*)(void)"}}`, "F, which is neither defined nor imported"},
		{"condition for nothing", `{"conditions": {"F": {"if_defined": ["M"]}}}`, "condition for F"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseFacts([]byte(test.json))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestParseFactsKeepsOrder(t *testing.T) {
	f, err := parseFacts([]byte(`{"status": {"B": 2, "A": -1, "C": 0}}`))
	if err != nil {
		t.Fatal(err)
	}
	var names string
	for _, s := range f.Status {
		names += s.Name
	}
	if names != "BAC" {
		t.Errorf("order %s, want BAC", names)
	}
}
