// SPDX-License-Identifier: MIT

package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/portres/reserve"
)

// fixedStore returns a store with known tokens and times.
func fixedStore(t *testing.T) string {
	t.Helper()
	content := "msquicxdp-reservations 1\n" +
		"00000000000000aa 2026-01-31T09:00:00Z tcp 443 exclusive uids=33 gids= enforce=yes name=\"\"\n" +
		"1f2e3d4c5b6a7988 2026-01-31T09:00:00Z udp 4433-4440 shared=2@9/9 uids=61001,61003 gids=61100 enforce=no name=\"web servers\"\n"
	content += fmt.Sprintf("sha256 %x\n", sha256.Sum256([]byte(content)))
	path := filepath.Join(t.TempDir(), "reservations")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReservationsPrints(t *testing.T) {
	for name, args := range map[string][]string{"reservations": nil, "reservations-json": {"--json"}} {
		r := runOn(somebody(), 80, withStore(t, append([]string{"reservations"}, args...)...)...)
		if r.status != statusDone || r.errs != "" {
			t.Errorf("status %d, %q", r.status, r.errs)
		}
		wantGolden(t, name, r.out)
	}
}

func TestReserveAndRelease(t *testing.T) {
	h := newTestHost(t)
	if out := h.wantDone(h.ports("reservations")); out != "nothing is reserved\n" {
		t.Error(out)
	}
	r := h.ports("reserve", "udp", "4433-4440", "--encoding", "2@9", "--user", "61001,root", "--user", "61002", "--group", "0", "--name", "web servers", "--enforce")
	token := strings.TrimSpace(h.wantDone(r))
	wantWords(t, r.errs, "ports apply")
	shown := mustDecode[reservation](t, h.wantDone(h.ports("reserve", "tcp", "1", "--user", "0", "--json")))
	if shown.Token == token || shown.Proto != "tcp" || shown.First != 1 || shown.Last != 1 || !shown.Exclusive || shown.Enforce || len(shown.UIDs) != 1 || shown.Created.IsZero() {
		t.Errorf("%+v", shown)
	}

	list := mustDecode[reservationListing](t, h.wantDone(h.ports("reservations", "--json"))).Reservations
	if len(list) != 2 || fmt.Sprint(list[0]) != fmt.Sprint(shown) {
		t.Fatalf("%+v", list)
	}
	want := reservation{Token: token, Proto: "udp", First: 4433, Last: 4440, Name: "web servers", Encoding: "2@9/9",
		UIDs: []uint32{0, 61001, 61002}, GIDs: []uint32{0}, Enforce: true, Created: list[1].Created}
	if fmt.Sprint(list[1]) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", list[1], want)
	}

	if out := h.wantDone(h.ports("release", token)); out != "released udp/4433-4440\n" {
		t.Error(out)
	}
	if shown := mustDecode[reservation](t, h.wantDone(h.ports("release", "tcp", "1", "--json"))); shown.Proto != "tcp" {
		t.Errorf("%+v", shown)
	}
	if out := h.wantDone(h.ports("reservations", "--json")); out != "{\n  \"reservations\": []\n}\n" {
		t.Error(out)
	}
}

func TestReservationsThatFail(t *testing.T) {
	h := newTestHost(t)
	token := strings.TrimSpace(h.wantDone(h.ports("reserve", "udp", "4433-4440", "--user", "0")))
	for _, test := range []struct {
		args string
		says []string
	}{
		{"reserve udp 4440-4441 --user 0", []string{"overlaps udp 4433-4440", token}},
		{"release udp 4433", []string{"udp 4433-4440", token}},
		{"release tcp 4433", []string{"tcp 4433 is not reserved"}},
		{"release 0123456789abcdef", []string{"token 0123456789abcdef"}},
	} {
		r := h.ports(strings.Fields(test.args)...)
		if r.status != statusFailed || r.out != "" {
			t.Errorf("%s: status %d, %q", test.args, r.status, r.out)
		}
		wantWords(t, r.errs, test.says...)
	}
}

func TestReleaseCompletesTokens(t *testing.T) {
	store := fixedStore(t)
	list, err := reserve.Open(store).List()
	if err != nil || len(list) != 2 {
		t.Fatal(err)
	}
	r := runOn(&fake{}, 0, "__complete", "ports", "--reservations", store, "release", "")
	wantWords(t, r.out, "udp\n", "tcp\n", "1f2e3d4c5b6a7988\tudp 4433-4440\n", "00000000000000aa\ttcp 443\n", ":4\n")
	r = runOn(&fake{}, 0, "__complete", "ports", "explain", "udp", "")
	if !strings.HasPrefix(r.out, ":4\n") {
		t.Error(r.out)
	}
}
