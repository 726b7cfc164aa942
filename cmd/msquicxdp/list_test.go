// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

func TestListPrints(t *testing.T) {
	for name, args := range map[string][]string{
		"list":            nil,
		"list-namespaces": {"--all-namespaces"},
		"list-foreign":    {"--foreign"},
		"list-json":       {"--foreign", "--json"},
	} {
		t.Run(name, func(t *testing.T) {
			r := runOn(somebody(), 80, append([]string{"ports", "list"}, args...)...)
			if r.status != statusDone || r.errs != "" {
				t.Errorf("status %d, %q", r.status, r.errs)
			}
			wantGolden(t, name, r.out)
			if name == "list" {
				wantWidth(t, r.out, 80)
			}
		})
	}
}

// Where the output is no terminal nothing is cut.
func TestListIsWholeInAFile(t *testing.T) {
	r := runOn(somebody(), 0, "ports", "list")
	wantGolden(t, "list-wide", r.out)
}

func TestListOfNothing(t *testing.T) {
	if r := runOn(&fake{}, 80, "ports", "list"); r != (result{"nobody has a claim\n", "", statusDone}) {
		t.Errorf("%+v", r)
	}
	if r := runOn(&fake{}, 80, "ports", "list", "--json"); r != (result{"{\n  \"holders\": []\n}\n", "", statusDone}) {
		t.Errorf("%+v", r)
	}
}

func TestListShowsWhatItFoundBesideAnError(t *testing.T) {
	f := somebody()
	f.list, f.err = f.list[:1], errors.Join(errors.New("udp-1: no file"), errors.New("udp-2: no file"))
	r := runOn(f, 80, "ports", "list")
	if r.status != statusFailed || r.errs != "msquicxdp: udp-1: no file\nmsquicxdp: udp-2: no file\n" {
		t.Errorf("status %d, %q", r.status, r.errs)
	}
	wantGolden(t, "list-error", r.out)
}

func TestListBesideTroubleWithSockets(t *testing.T) {
	f := somebody()
	f.sockets, f.socketsErr = nil, errors.New("no sock_diag")
	r := runOn(f, 80, "ports", "list", "--foreign")
	if r.status != statusFailed || r.errs != "msquicxdp: no sock_diag\n" || !strings.Contains(r.out, "tcp/443") {
		t.Errorf("%+v", r)
	}
}

// What others call themselves reaches the terminal as text, whoever failed to
// clean it before.
func TestHostileNamesAreHarmless(t *testing.T) {
	const hostile = "\x1b]0;owned\x07\x1b[2J\u009b31m\r\n\tudp/443\u202eevil\xff\x7f"
	f := &fake{
		list:    []claim{exclusively(443, rules.Party{Kind: rules.Listener, Process: 1, Program: hostile})},
		sockets: []rules.Party{{Process: 2, Program: hostile}},
		err:     errors.New("open(" + hostile + ")"),
	}
	for _, args := range [][]string{
		{"ports", "list", "--foreign"},
		{"ports", "list", "--foreign", "--json"},
		{"ports", "explain", "udp", "443"},
		{"ports", "explain", "udp", "443", "--json"},
		{"ports", "list", hostile},
		{"ports", hostile},
		{hostile},
	} {
		r := runOn(f, 80, args...)
		wantClean(t, r.out)
		wantClean(t, r.errs)
		if r.out == "" && r.errs == "" {
			t.Errorf("%q printed nothing", args)
		}
	}
}
