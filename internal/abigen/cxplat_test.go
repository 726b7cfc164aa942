// SPDX-License-Identifier: MIT

package main

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

var (
	comment    = regexp.MustCompile(`(?s)/\*.*?\*/`)
	function   = regexp.MustCompile(`(?:CxPlat|Quic)\w+\(|CxPlatPcpRecvCallback|CxPlatProcessorCount`)
	status     = regexp.MustCompile(`#define QUIC_STATUS_\w+`)
	enumerator = regexp.MustCompile(`(?m)^    (?:CXPLAT_[A-Z0-9_]+|Route[A-Z]\w+)(?: =|,|$)`)
	tag        = regexp.MustCompile(`#define QUIC_POOL_\w+`)
	aggregate  = regexp.MustCompile(`(?:struct|union) \w+ \{`)
	word       = regexp.MustCompile(`\w+`)
)

// Each function, status, enumerator, tag and struct that cxplat.h declares is
// a fact, and so asserted; each of these facts is declared there.
func TestHeaderDeclaresTheFacts(t *testing.T) {
	f := committedFacts(t)
	text, err := os.ReadFile("../../include/msquicxdp/cxplat.h")
	if err != nil {
		t.Fatal(err)
	}
	code := comment.ReplaceAllString(string(text), "")

	var statuses, enumerators, tags, structs []string
	for _, s := range f.Status {
		statuses = append(statuses, "QUIC_STATUS_"+s.Name)
	}
	for _, e := range f.Enums {
		for _, v := range e.Value {
			enumerators = append(enumerators, v.Name)
		}
	}
	for _, c := range f.Constants {
		if tag.MatchString("#define " + c.Name) {
			tags = append(tags, c.Name)
		}
	}
	for _, s := range f.Structs {
		if s.Name != "CXPLAT_CQE" { // the kernel's
			structs = append(structs, s.Name)
		}
	}
	structs = append(structs, "CXPLAT_SLIST_ENTRY") // a pointer

	for _, test := range []struct {
		kind  string
		match *regexp.Regexp
		facts []string
	}{
		{"function", function, slices.Concat(f.Define, f.Import)},
		{"status", status, statuses},
		{"enumerator", enumerator, enumerators},
		{"tag", tag, tags},
		{"struct", aggregate, structs},
	} {
		declared := map[string]bool{}
		for _, match := range test.match.FindAllString(code, -1) {
			names := word.FindAllString(match, -1)
			declared[names[len(names)-1]] = true
		}
		for _, name := range test.facts {
			if !declared[name] {
				t.Errorf("%s %s is a fact and not declared in cxplat.h", test.kind, name)
			}
			delete(declared, name)
		}
		for _, name := range slices.Sorted(maps.Keys(declared)) {
			t.Errorf("%s %s is declared in cxplat.h and no fact", test.kind, name)
		}
	}
}
