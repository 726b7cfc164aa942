// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

func TestRange(t *testing.T) {
	r := udp(4433, 8)
	if r.Last() != 4440 || r.String() != "udp 4433-4440" || udp(1, 1).String() != "udp 1" {
		t.Errorf("last %d, text %q and %q", r.Last(), r, udp(1, 1))
	}
	for _, test := range []struct {
		other           Range
		overlaps, isOne bool // isOne: r contains the first port of other
	}{
		{udp(4433, 8), true, true},
		{udp(4440, 1), true, true},
		{udp(4440, 100), true, true},
		{udp(1, 65535), true, false},
		{udp(4432, 1), false, false},
		{udp(4441, 1), false, false},
		{udp(65535, 1), false, false},
		{tcp(4433, 8), false, false},
	} {
		if got := r.Overlaps(test.other); got != test.overlaps || got != test.other.Overlaps(r) {
			t.Errorf("%v overlaps %v: %v, and the other way %v", r, test.other, got, test.other.Overlaps(r))
		}
		if got := r.Contains(test.other.Proto, test.other.Start); got != test.isOne {
			t.Errorf("%v contains %v %d: %v", r, test.other.Proto, test.other.Start, got)
		}
	}
}

func TestValidate(t *testing.T) {
	with := func(change func(r *Reservation)) Reservation {
		r := shared(udp(4433, 8))
		change(&r)
		return r
	}
	for _, test := range []struct {
		name string
		r    Reservation
		says string // empty: valid
	}{
		{"shared", shared(udp(4433, 8)), ""},
		{"exclusive", exclusive(tcp(1, 65535)), ""},
		{"group alone", with(func(r *Reservation) { r.UIDs = nil }), ""},
		{"no protocol", exclusive(Range{Start: 1, Count: 1}), "protocol"},
		{"other protocol", exclusive(Range{Proto: 132, Start: 1, Count: 1}), "protocol"},
		{"port 0", exclusive(udp(0, 1)), "port 0"},
		{"no ports", exclusive(udp(1, 0)), "at least 1"},
		{"beyond the last", exclusive(udp(65535, 2)), "past port 65535"},
		{"everything and more", exclusive(udp(2, 65535)), "past port 65535"},
		{"nobody", with(func(r *Reservation) { r.UIDs, r.GIDs = nil, nil }), "permits nobody"},
		{"no user", with(func(r *Reservation) { r.UIDs = []uint32{^uint32(0)} }), "is no user id"},
		{"no group", with(func(r *Reservation) { r.GIDs = []uint32{^uint32(0)} }), "is no group id"},
		{"too many users", with(func(r *Reservation) { r.UIDs = make([]uint32, MaxIDs+1) }), "at most 64"},
		{"too many groups", with(func(r *Reservation) { r.GIDs = make([]uint32, MaxIDs+1) }), "at most 64"},
		{"no encoding", with(func(r *Reservation) { r.Encoding = cibir.Encoding{} }), "cibir"},
		{"exclusive with encoding", with(func(r *Reservation) { r.Exclusive = true }), "2@9/9"},
		{"long name", with(func(r *Reservation) { r.Name = strings.Repeat("x", MaxName+1) }), "at most 64"},
		{"line in the name", with(func(r *Reservation) { r.Name = "a\nb" }), "printable"},
		{"escape in the name", with(func(r *Reservation) { r.Name = "\x1b[2J" }), "printable"},
		{"backward text in the name", with(func(r *Reservation) { r.Name = "\u202e" }), "printable"},
		{"name in no encoding", with(func(r *Reservation) { r.Name = "\xff" }), "printable"},
	} {
		err := test.r.Validate()
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.says)
		}
	}
}

func TestPermits(t *testing.T) {
	r := Reservation{UIDs: []uint32{1000}, GIDs: []uint32{50}}
	for _, test := range []struct {
		uid  uint32
		gids []uint32
		want bool
	}{
		{1000, nil, true},
		{1000, []uint32{1000}, true},
		{1, []uint32{1000, 50}, true},
		{1, []uint32{1000}, false},
		{50, nil, false},
		{0, []uint32{0}, false}, // root is not exempt
	} {
		if got := r.Permits(test.uid, test.gids); got != test.want {
			t.Errorf("user %d, groups %v: %v", test.uid, test.gids, got)
		}
	}
}

func TestToken(t *testing.T) {
	token, err := ParseToken("00112233445566FF")
	if err != nil || token.String() != "00112233445566ff" {
		t.Errorf("%v, %v", token, err)
	}
	for _, text := range []string{"", "0000000000000000", "112233445566ff", "00112233445566fff", "+0112233445566ff", "0x112233445566ff", "0_12233445566fff"} {
		if token, err := ParseToken(text); err == nil {
			t.Errorf("%q became %v", text, token)
		}
	}
}

// drawReservation draws a valid one, as the store would keep it.
func drawReservation(t *rapid.T) Reservation {
	start := rapid.Uint16Range(1, lastPort).Draw(t, "start")
	r := Reservation{
		Token:     Token(rapid.Uint64Min(1).Draw(t, "token")),
		Created:   drawTime(t),
		Range:     Range{drawProto(t), start, rapid.Uint16Range(1, lastPort-start+1).Draw(t, "count")},
		Name:      rapid.StringOfN(rapid.RuneFrom([]rune(`ab "'\,=αЖ漢😀`)), 0, 16, MaxName).Draw(t, "name"),
		Exclusive: rapid.Bool().Draw(t, "exclusive"),
		UIDs:      drawIDs(t, "uids", 1),
		GIDs:      drawIDs(t, "gids", 0),
		Enforce:   rapid.Bool().Draw(t, "enforce"),
	}
	if !r.Exclusive {
		r.Encoding = cibir.Encoding{
			Length:            rapid.Uint8Range(1, cibir.MaxIDLength).Draw(t, "length"),
			SourceOffset:      rapid.Uint8Max(200).Draw(t, "source"),
			DestinationOffset: rapid.Uint8Max(200).Draw(t, "destination"),
		}
	}
	r.normalize()
	return r
}

func drawProto(t *rapid.T) rules.Proto {
	return rapid.SampledFrom([]rules.Proto{rules.UDP, rules.TCP}).Draw(t, "proto")
}

func drawIDs(t *rapid.T, label string, least int) []uint32 {
	return rapid.SliceOfN(rapid.Uint32Max(^uint32(0)-1), least, 5).Draw(t, label)
}

func TestRecordReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawReservation(t)
		again, err := parseRecord(r.record())
		if err != nil || fmt.Sprintf("%#v", again) != fmt.Sprintf("%#v", r) {
			t.Fatalf("%s: read back %+v, was %+v: %v", r.record(), again, r, err)
		}
	})
}

func TestParseRecordRefuses(t *testing.T) {
	const good = `1f2e3d4c5b6a7988 2026-01-31T09:00:00Z udp 4433-4440 shared=2@9/9 uids=1000,1001 gids= enforce=no name="a b"`
	if r, err := parseRecord(good); err != nil || !slices.Equal(r.UIDs, []uint32{1000, 1001}) {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, change := range []struct{ old, new string }{
		{"1f2e3d4c5b6a7988", "1F2E3D4C5B6A7988"},
		{"1f2e3d4c5b6a7988", "0000000000000000"},
		{"2026-01-31", "2026-02-31"},
		{"09:00:00Z", "09:00:00+01:00"},
		{"09:00:00Z", "09:00:00.5Z"},
		{"udp", "UDP"},
		{"udp", "sctp"},
		{"4433-4440", "4433-4433"},
		{"4433-4440", "4440-4433"},
		{"4433-4440", "0-65535"},
		{"4433-4440", "04433-4440"},
		{"shared=2@9/9", "shared=2@9"},
		{"shared=2@9/9", "shared=0@9/9"},
		{"shared=2@9/9", "open"},
		{"uids=1000,1001", "uids=1000,"},
		{"uids=1000,1001", "uids=4294967295"},
		{"uids=1000,1001", "uids=4294967296"},
		{"uids=1000,1001", "gids=1000,1001"},
		{"uids=1000,1001", "uids="},
		{"enforce=no", "enforce=false"},
		{`"a b"`, `"a b" `},
		{`"a b"`, "`a b`"},
		{`"a b"`, `a b`},
		{`"a b"`, `"a\nb"`},
		{`"a b"`, `"α"`}, // written as \u03b1
		{" udp", "  udp"},
		{" enforce=no", ""},
		{good, ""},
	} {
		line := strings.Replace(good, change.old, change.new, 1)
		if r, err := parseRecord(line); err == nil {
			t.Errorf("%s became %+v", line, r)
		}
	}
}
