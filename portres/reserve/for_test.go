// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

func TestForSaysWhatTheKernelDoes(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		r := shared(udp(4433, 8))
		token := b.create(r)
		b.create(exclusive(tcp(4433, 1)))
		find := func(proto rules.Proto, port uint16, uid uint32, gids ...uint32) *rules.Reservation {
			t.Helper()
			got, err := b.ruleFor(b.enforcer(), proto, port, uid, gids)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := find(rules.UDP, 4432, 0); got != nil {
			t.Errorf("a port that is not reserved: %+v", got)
		}
		want := rules.Reservation{Token: token.String(), Name: r.Name, Encoding: r.Encoding, Permitted: true}
		if got := find(rules.UDP, 4440, 1001); *got != want {
			t.Errorf("before Apply: %+v, want %+v", got, want)
		}
		b.apply()
		want.Enforced = true
		if got := find(rules.UDP, 4440, 77, 5, 4294967294); *got != want {
			t.Errorf("after Apply: %+v, want %+v", got, want)
		}
		want.Permitted = false
		if got := find(rules.UDP, 4440, 77, 5); *got != want {
			t.Errorf("to a stranger: %+v, want %+v", got, want)
		}
		if got := find(rules.TCP, 4433, 1000); !got.Exclusive || got.Enforced || !got.Permitted {
			t.Errorf("exclusive: %+v", got)
		}
		os.Remove(b.enforcer().pin("post_bind6"))
		if find(rules.UDP, 4440, 0).Enforced {
			t.Error("enforced with a hook missing")
		}
	})
}

// TestForUnprivileged: who may not look takes the administrator's word.
func TestForUnprivileged(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(enforced(udp(4433, 1)))
		openToAll(t, b.bpffs)
		for _, applied := range []bool{false, true} {
			asUser(t, 1000, func() {
				got, err := b.ruleFor(b.enforcer(), rules.UDP, 4433, 1000, nil)
				if err != nil || got.Enforced != applied {
					t.Errorf("%+v, %v", got, err)
				}
			})
			b.apply()
		}
	})
}

func TestFor(t *testing.T) {
	s := newStore(t)
	t.Setenv(pathVariable, s.Path())
	if r, err := For(rules.UDP, 4433, 0, nil); r != nil || err != nil {
		t.Errorf("without a store: %+v, %v", r, err)
	}
	mustCreate(t, s, exclusive(udp(4433, 1)))
	if r, err := For(rules.UDP, 4433, 1000, nil); err != nil || r == nil || !r.Permitted || r.Enforced {
		t.Errorf("%+v, %v", r, err)
	}
	if err := os.WriteFile(s.Path(), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := For(rules.UDP, 4433, 1000, nil); err == nil || r != nil {
		t.Errorf("damaged: %+v, %v", r, err)
	}
}

// BenchmarkFor is what a claim costs more with so many reservations.
func BenchmarkFor(b *testing.B) {
	for _, n := range []int{0, 1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := Open(filepath.Join(b.TempDir(), "lib", "reservations"))
			if n > 0 {
				err := s.change(func(list []Reservation) ([]Reservation, error) {
					for i := range n {
						r := shared(udp(uint16(1+2*i), 1))
						r.Token, r.Enforce = Token(i+1), false
						list = append(list, r)
					}
					return list, nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if _, err := s.For(rules.UDP, uint16(2*n), 1000, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
