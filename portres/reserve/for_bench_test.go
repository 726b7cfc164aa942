// SPDX-License-Identifier: MIT

package reserve

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

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
