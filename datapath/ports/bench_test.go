// SPDX-License-Identifier: MIT

package ports

import (
	"testing"
)

// What it takes to get a port with two sockets, and to give it back, which is
// about a tenth of it.
func BenchmarkAcquire(b *testing.B) {
	b.Run("exclusive", func(b *testing.B) { enterRoom(b).measure(b, member(0)) })
	for _, tier := range []string{"owned", "guarded", "unguarded"} {
		b.Run("open/"+tier, func(b *testing.B) {
			r := enterRoom(b)
			b.Setenv(TierEnv, tier)
			r.measure(b, member(1))
		})
		b.Run("join/"+tier, func(b *testing.B) {
			r := enterRoom(b)
			b.Setenv(TierEnv, tier)
			r.start("member", who{}).acquire(1)
			r.measure(b, member(2))
		})
	}
	b.Run("join/hundred", func(b *testing.B) {
		r := enterRoom(b)
		for id := range 100 {
			r.mustAcquire(member(id + 1))
		}
		r.measure(b, member(101))
	})
}

func (r *room) measure(b *testing.B, request Request) {
	r.ns.Do(b, func() error {
		for b.Loop() {
			l, err := Acquire(request)
			if err != nil {
				return err
			}
			l.Release()
		}
		return nil
	})
}
