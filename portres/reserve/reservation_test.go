// SPDX-License-Identifier: MIT

package reserve

import (
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/cibir"
)

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
