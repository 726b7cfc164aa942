// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/inspect"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

var update = flag.Bool("update", false, "write what is printed to testdata/, docs/CLI.md and packaging/man/")

// TestMain runs a child where the environment names one; see child_test.go.
func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		os.Exit(runChild(name))
	}
	os.Exit(m.Run())
}

// fake is a machine on which nothing happens by itself.
type fake struct {
	list       []claim
	err        error // of claims
	sockets    []rules.Party
	socketsErr error
	report     *inspect.Report
}

func (f *fake) now() time.Time {
	return time.Date(2026, time.November, 23, 18, 30, 0, 0, time.UTC)
}

func (f *fake) claims(string, bool) ([]claim, error) { return f.list, f.err }

func (f *fake) claimsOn(_ string, proto rules.Proto, port uint16) (list []claim, err error) {
	for _, c := range f.list {
		if c.Proto == proto && c.Port == port {
			list = append(list, c)
		}
	}
	return list, nil
}

func (f *fake) strangers(rules.Proto, uint16, []portres.Held) ([]rules.Party, error) {
	return f.sockets, f.socketsErr
}

func (f *fake) ask(_ string, spec portres.Spec) (rules.Decision, error) {
	s := rules.State{Proto: spec.Proto, Port: spec.Port, Reservation: spec.Reservation}
	claims, _ := f.claimsOn("", spec.Proto, spec.Port)
	for _, c := range claims {
		s.Holders = append(s.Holders, c.Party)
	}
	if len(s.Holders) == 0 {
		s.Holders = f.sockets
	}
	return rules.Decide(s, rules.Request{Party: spec.Party}), nil
}

func (f *fake) inspect(string) (*inspect.Report, error) {
	if f.report == nil {
		return nil, errors.New("no netlink")
	}
	return f.report, nil
}

func (f *fake) userName(uid uint32) string {
	return map[uint32]string{0: "root", 33: "www-data", 61001: "alice", 61002: "extraordinarily-long"}[uid]
}

func (f *fake) groupName(gid uint32) string { return map[uint32]string{61100: "staff"}[gid] }

// result is what a command line did.
type result struct {
	out, errs string
	status    int
}

func runOn(m machine, width int, args ...string) result {
	var out, errs bytes.Buffer
	status := run(&tool{out: &out, errs: &errs, width: width, machine: m}, args)
	return result{out.String(), errs.String(), status}
}

// wantGolden compares with testdata/NAME.golden.
func wantGolden(t *testing.T, name, got string) {
	t.Helper()
	wantFile(t, filepath.Join("testdata", name+".golden"), got)
}

// wantFile compares with a file, or writes it with -update.
func wantFile(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s (%v; go generate writes it):\n%s\ngot:\n%s", path, err, want, got)
	}
}

// wantClean fails if a terminal would obey any of the text.
func wantClean(t *testing.T, text string) {
	t.Helper()
	for i, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("control character %q at %d of %q", r, i, text)
		}
	}
}

// wantWidth fails if a line has more columns than there are.
func wantWidth(t *testing.T, text string, width int) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func mustDecode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return v
}

func at(day, hour, minute int) time.Time {
	return time.Date(2026, time.November, day, hour, minute, 5, 0, time.UTC)
}

func mustID(text string) cibir.ID {
	id, err := cibir.ParseID(text)
	if err != nil {
		panic(err)
	}
	return id
}

var nine = cibir.Encoding{Length: 2, SourceOffset: 9, DestinationOffset: 9}

// exclusively is an exclusive claim on a port.
func exclusively(port uint16, p rules.Party) claim {
	return claim{4255, portres.Held{Proto: rules.UDP, Port: port, Version: portres.Version, Exclusive: true, Party: p}}
}

// member is the claim of a member of UDP port 4433.
func member(slot uint32, id string, p rules.Party) claim {
	p.Kind, p.ID, p.Encoding = rules.CIBIR, mustID(id), nine
	return claim{4255, portres.Held{Proto: rules.UDP, Port: 4433, Version: portres.Version, Slot: slot, Party: p}}
}

// somebody has one of everything.
func somebody() *fake {
	alone := rules.Party{Kind: rules.CIBIR, ID: mustID("0a0b0c0d0e0f"), Encoding: cibir.Encoding{Length: 6, SourceOffset: 2, DestinationOffset: 2},
		Process: 999, Program: "lonely", UID: 61002, Since: time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC), Tier: rules.Guarded, Alone: true}
	qtip := exclusively(443, rules.Party{Kind: rules.QTIP, Process: 1234567, Program: "quicserver-with-a-name-of-some-length", UID: 33, Since: at(22, 23, 59), Tier: rules.Owned, XDP: true})
	qtip.Proto = rules.TCP
	return &fake{
		list: []claim{
			exclusively(443, rules.Party{Kind: rules.Listener, Process: 4711, Program: "nginx", UID: 33, Since: at(23, 12, 0), Tier: rules.Owned}),
			member(7, "0a0b", rules.Party{Process: 812, Program: "shard-a", UID: 61001, Since: at(23, 8, 15), Tier: rules.Guarded}),
			member(9, "0c0d", rules.Party{Process: 813, Program: "shard-b", UID: 61001, Since: at(23, 8, 15), Tier: rules.Guarded}),
			exclusively(9000, alone),
			{4255, portres.Held{Proto: rules.UDP, Port: 50000, Version: 2}},
			qtip,
		},
		sockets: []rules.Party{{UID: 61001, Process: 666, Program: "copycat"}, {UID: 0}, {UID: 61001, Process: 666, Program: "copycat"}},
	}
}
