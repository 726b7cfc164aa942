// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// withStore gives the arguments a store with the fixed reservations.
func withStore(t *testing.T, args ...string) []string {
	return append([]string{"ports", "--reservations", fixedStore(t)}, args...)
}

func TestExplainPrints(t *testing.T) {
	for name, args := range map[string][]string{
		"explain":         {"explain", "udp", "4433", "--cibir", "0a0b", "--encoding", "2@9/9", "--as-uid", "61001"},
		"explain-json":    {"explain", "udp", "4433", "--cibir", "0a0b", "--encoding", "2@9/9", "--as-uid", "61001", "--json"},
		"explain-free":    {"explain", "udp", "1", "--as-uid", "61001"},
		"explain-foreign": {"explain", "udp", "2", "--as-uid", "61001"},
	} {
		t.Run(name, func(t *testing.T) {
			f, status := somebody(), statusRefused
			f.sockets = nil
			if name == "explain-free" {
				status = statusDone
			}
			if name == "explain-foreign" {
				f.sockets = []rules.Party{{UID: 33, Process: 77, Program: "named"}}
			}
			r := runOn(f, 80, withStore(t, args...)...)
			if r.status != status || r.errs != "" {
				t.Errorf("status %d, %q", r.status, r.errs)
			}
			wantGolden(t, name, r.out)
		})
	}
}

// The ports are those of TestExplainOutcomes.
const cibir2 = "--cibir 0e0f --encoding 2@9/9"

var explanations = []struct {
	args            string
	outcome, reason string
	errno           string
	holders         int
}{
	{"udp 1000", "granted", "port-free", "", 0},
	{"tcp 4433", "granted", "port-free", "", 0},
	{"udp 1000 --client", "granted", "port-free", "", 0},
	{"udp 1000 " + cibir2, "opens", "port-free", "", 0},
	{"udp 1000 " + cibir2 + " --no-steering", "serves-alone", "no-steering", "", 0},
	{"udp 4433 " + cibir2, "joins", "other-identifier", "", 2},
	{"udp 4433 " + cibir2 + " --xdp", "joins", "other-identifier", "", 2},
	{"udp 4433 " + cibir2 + " --no-steering", "refused", "no-steering", "EOPNOTSUPP", 2},
	{"udp 4433 --cibir 0c:0d --encoding 2@9", "refused", "identifier-taken", "EADDRINUSE", 2},
	{"udp 4433 --cibir 0e0f --encoding 2@10/9", "refused", "encoding-differs", "EADDRINUSE", 2},
	{"udp 4433 " + cibir2 + " --as-uid 61001", "refused", "other-user", "EADDRINUSE", 2},
	{"udp 4433", "refused", "held-shared", "EADDRINUSE", 2},
	{"udp 4433 --client", "refused", "held-shared", "EADDRINUSE", 2},
	{"udp 443", "refused", "held-exclusively", "EADDRINUSE", 1},
	{"UDP 443 " + cibir2, "refused", "held-exclusively", "EADDRINUSE", 1},
	{"udp 444 " + cibir2, "refused", "held-alone", "EADDRINUSE", 1},
	{"udp 53", "refused", "held-by-foreign", "EADDRINUSE", 1},
	{"udp 5000", "refused", "not-permitted", "EADDRINUSE", 0},
	{"udp 5000 --as-uid 61001", "granted", "port-free", "", 0},
	{"udp 5000 --as-uid 61001 " + cibir2, "refused", "reserved-exclusively", "EADDRINUSE", 0},
	{"udp 5003 --as-uid 61001", "refused", "reserved-shared", "EADDRINUSE", 0},
	{"udp 5003 --as-uid 61001 " + cibir2, "opens", "port-free", "", 0},
	{"udp 5003 --as-uid 61001 --cibir 0e --encoding 1@9/9", "refused", "reserved-encoding", "EADDRINUSE", 0},
}

func TestExplainOutcomes(t *testing.T) {
	h := newTestHost(t)
	alone := wish{Proto: "udp", Port: 444, Kind: rules.CIBIR, ID: "0a0b", Encoding: "2@9/9", Claimed: true}
	h.hold(shard("0a0b"), listener(443), alone)
	h.hold(shard("0c0d"), wish{Port: 53, Socket: true})
	h.wantDone(h.ports("reserve", "udp", "5000", "--user", "61001"))
	h.wantDone(h.ports("reserve", "udp", "5002-5003", "--user", "61001", "--encoding", "2@9/9"))
	for _, test := range explanations {
		t.Run(test.args, func(t *testing.T) {
			args := append([]string{"explain", "--json"}, strings.Fields(test.args)...)
			r := h.ports(args...)
			e := mustDecode[explanation](t, r.out)
			if e.Outcome != test.outcome || e.Reason != test.reason || e.Errno != test.errno || len(e.Holders) != test.holders {
				t.Errorf("%s", r.out)
			}
			status := statusDone
			if test.outcome == "refused" {
				status = statusRefused
			}
			if r.status != status || r.errs != "" {
				t.Errorf("status %d, %q", r.status, r.errs)
			}
			if reserved := e.Port >= 5000; reserved != (e.Reservation != nil) {
				t.Errorf("reservation %+v", e.Reservation)
			}
		})
	}
	// Nothing was taken by asking.
	if list := mustDecode[listing](t, h.wantDone(h.ports("list", "--json"))).Holders; len(list) != 4 {
		t.Errorf("%+v", list)
	}
}

// What is wrong with one port says nothing of another.
func TestExplainBesideADamagedPort(t *testing.T) {
	h := newTestHost(t)
	h.hold(listener(443))
	files, err := filepath.Glob(filepath.Join(h.base, "*"))
	h.must(err)
	h.must(os.Mkdir(filepath.Join(files[0], "udp-1"), 0o700))
	if r := h.ports("explain", "udp", "443"); r.status != statusRefused || r.errs != "" {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"explain", "udp", "1"}, {"list"}} {
		r := h.ports(args...)
		if r.status != statusFailed {
			t.Errorf("%+v", r)
		}
		wantWords(t, r.errs, "udp-1")
	}
}

// Nobody knows what is reserved, so nothing can be said.
func TestExplainBesideADamagedStore(t *testing.T) {
	h := newTestHost(t)
	h.must(os.MkdirAll(filepath.Dir(h.store), 0o755))
	h.must(os.WriteFile(h.store, []byte("garbage\n"), 0o644))
	r := h.ports("explain", "udp", "443")
	if r.status != statusFailed {
		t.Errorf("status %d, %q", r.status, r.out)
	}
	wantWords(t, r.errs, h.store, "restore the file")
}
