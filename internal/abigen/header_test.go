// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"strings"
	"testing"
)

func TestHeaderLines(t *testing.T) {
	tests := []struct {
		name  string
		facts facts
		want  string
	}{
		{"status", facts{Status: ordered[int64]{{"PENDING", -2}}},
			"MSQUICXDP_STATUS(QUIC_STATUS_PENDING, -2)\n"},
		{"constant", facts{Constants: ordered[int64]{{"MTU", 1500}}},
			"MSQUICXDP_VALUE(MTU, 1500)\n"},
		{"enum", facts{Enums: ordered[ordered[int64]]{{"E", ordered[int64]{{"A", 0}, {"B", 7}}}}},
			"/* E */\nMSQUICXDP_VALUE(A, 0)\nMSQUICXDP_VALUE(B, 7)\n"},
		{"type", facts{Types: ordered[string]{{"T", "void (*)(int, char)"}}},
			"MSQUICXDP_TYPE(T, void (*)(int, char))\n"},
		{"long signature", facts{Signatures: ordered[string]{
			{"F", "void (*)(" + strings.Repeat("uint32_t, ", 9) + "int)"}}},
			"MSQUICXDP_SIGNATURE(F, void (*)(uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t,\n" +
				"    uint32_t, uint32_t, uint32_t, int))\n"},
		{"struct", facts{Structs: ordered[structure]{{"S", structure{Size: 8, Align: 4,
			Fields: []field{{Name: "a", Size: 4}, {Name: "b", Offset: 4, Size: 2}}}}}},
			"MSQUICXDP_STRUCT(S, 8, 4)\nMSQUICXDP_FIELD(S, a, 0, 4)\nMSQUICXDP_FIELD(S, b, 4, 2)\n"},
		{"bit field", facts{Structs: ordered[structure]{{"S", structure{Size: 4, Align: 4,
			Fields: []field{{Name: "a", Offset: 2, Size: 2, BitOffset: 3, BitSize: 5}}}}}},
			"    MSQUICXDP_BITS(S, a, 2, 3, 5)\n    return NULL;\n}\n"},
		{"condition", facts{Structs: ordered[structure]{{"S", structure{Size: 1, Align: 1}}},
			Conditions: map[string]condition{"S": {[]string{"A", "B"}, "because"}}},
			"/* because */\n#if defined(A) || defined(B)\nMSQUICXDP_STRUCT(S, 1, 1)\n#endif\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := string(header(&test.facts))
			if !strings.Contains(got, test.want) {
				_, body, _ := strings.Cut(got, "/* Status values */")
				t.Errorf("want the lines\n%s\nin\n%s", test.want, body)
			}
		})
	}
}

// The committed header is what the committed facts give.
func TestCommittedHeader(t *testing.T) {
	committed, err := os.ReadFile("../../include/abi/layout_asserts.h")
	if err != nil {
		t.Fatal(err)
	}
	if string(header(committedFacts(t))) != string(committed) {
		t.Error("include/abi/layout_asserts.h is out of date: run go generate ./internal/abigen")
	}
}
