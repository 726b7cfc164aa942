// SPDX-License-Identifier: MIT

package hold

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Whatever came and went: the port is kept, the kernel numbers the group as
// documented, and every datagram reaches the member that it is for.
func TestAnyHistory(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		r.as(uid, func() error {
			rapid.Check(t, func(t *rapid.T) { checkHistory(t, o, tier) })
			return nil
		})
	})
}

func checkHistory(t *rapid.T, o Options, tier rules.Tier) {
	o.Members = rapid.IntRange(1, 12).Draw(t, "members")
	if tier == rules.Guarded { // elsewhere there are none
		o.Spares = rapid.IntRange(0, 3).Draw(t, "spares")
	}
	d, group, err := Open(o) // group is in the kernel's order, spares as -1, -2 ...
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	defer func() { descriptors.CloseAll(group) }()
	if err := attachSteering(group[0]); err != nil {
		t.Fatal(err)
	}
	for spare := range o.Spares {
		group = append(group, -1-spare)
	}
	next := -1 // the spare that is taken next
	take := func(fd int) {
		group[slices.Index(group, next)] = fd
		next--
	}
	t.Repeat(map[string]func(*rapid.T){
		"admit": func(t *rapid.T) {
			n := rapid.IntRange(0, 3).Draw(t, "n")
			bound := n - min(n, o.Spares+1+next)
			fds, err := d.Admit(n)
			if err != nil {
				t.Fatal(err)
			}
			group = append(group, fds[:bound]...)
			for _, fd := range fds[bound:] {
				take(fd)
			}
		},
		"take spare": func(t *rapid.T) {
			if fd, ok, err := d.TakeSpare(); ok {
				take(fd)
			} else if err != nil || slices.Contains(group, next) {
				t.Fatalf("no spare: %v", err)
			}
		},
		"leave": func(t *rapid.T) {
			i := rapid.IntRange(0, len(group)-1).Draw(t, "i")
			if group[i] < 0 || len(group) == 1 {
				t.Skip("a spare, or the last one")
			}
			unix.Close(group[i])
			last := len(group) - 1
			group[i] = group[last] // the last takes its number
			group = group[:last]
		},
		"": func(t *rapid.T) {
			for _, s := range []stranger{plainStranger, deviceStranger, {addr: "127.0.0.1", reusePort: true}} {
				fd, err := s.bind(o.Proto, port)
				if in := err == nil; in != s.gets(tier, true) {
					t.Fatalf("%+v gets in: %v", s, err)
				}
				unix.Close(fd)
			}
			i := rapid.IntRange(0, len(group)-1).Draw(t, "to")
			if err := sendTo("::1", byte(i), 1); err != nil {
				t.Fatal(err)
			}
			for j, fd := range group {
				want := 0
				if j == i {
					want = 1
				}
				if fd >= 0 && drain(t, fd)[0] != want {
					t.Fatalf("a datagram for member %d arrives wrongly at %d of %d", i, j, len(group))
				}
			}
		},
	})
}
