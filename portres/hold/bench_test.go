// SPDX-License-Identifier: MIT

package hold

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// The price of a door beside that of binding its members.
func BenchmarkOpen(b *testing.B) {
	ns := netnstest.New(b)
	for _, tier := range []rules.Tier{rules.Owned, rules.Guarded, rules.Unguarded} {
		for _, members := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s, %d members", tier, members), func(b *testing.B) {
				o := most(group(rules.UDP, members), tier)
				ns.Do(b, func() error {
					for b.Loop() {
						d, fds, err := Open(o)
						if err != nil {
							return err
						}
						descriptors.CloseAll(fds)
						d.Release()
					}
					return nil
				})
			})
		}
	}
	b.Run("bind, 8 members", func(b *testing.B) {
		open := sockets(rules.UDP, unix.AF_INET6)
		ns.Do(b, func() error {
			for b.Loop() {
				var fds []int
				for range 8 {
					fd, err := open()
					if err == nil {
						err = setReusePort(fd, 1)
					}
					if err == nil {
						err = bind(fd, at("[::]:4433"))
					}
					if err != nil {
						return err
					}
					fds = append(fds, fd)
				}
				descriptors.CloseAll(fds)
			}
			return nil
		})
	})
}
