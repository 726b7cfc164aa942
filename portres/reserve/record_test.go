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
