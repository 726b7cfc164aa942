// SPDX-License-Identifier: MIT

package hold

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

func listen(t *testing.T, fds ...int) {
	t.Helper()
	for _, fd := range fds {
		if err := unix.Listen(fd, 64); err != nil {
			t.Fatal(err)
		}
	}
}

// wantConnected fails unless n connections to the port all arrive at the listeners.
func (r room) wantConnected(n int, listeners ...int) {
	r.t.Helper()
	for i := range n {
		r.as(root, func() error {
			client, err := dial(rules.TCP, []string{"::1", "127.0.0.1"}[i%2])
			defer unix.Close(client)
			return err
		})
	}
	accepted := 0
	for _, fd := range listeners {
		for {
			conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
			if err != nil {
				break
			}
			accepted++
			unix.Close(conn)
		}
	}
	if accepted != n {
		r.t.Errorf("%d of %d connections arrived", accepted, n)
	}
}

// The tiers hold for sockets that are merely bound, and for listeners.
func TestTCP(t *testing.T) {
	for _, test := range []struct {
		uid  int
		tier rules.Tier
	}{{root, rules.Owned}, {user, rules.Unguarded}} {
		t.Run(test.tier.String(), func(t *testing.T) {
			r := newRoom(t)
			d, members := r.mustOpen(test.uid, group(rules.TCP, 2), test.tier)
			r.wantKept(d, test.uid, test.tier)
			listen(t, members...)
			r.wantKept(d, test.uid, test.tier)
			members = append(members, r.mustAdmit(test.uid, d, 2)...)
			listen(t, members...)
			r.wantConnected(40, members...)
			r.wantKept(d, test.uid, test.tier)
		})
	}
}

// One socket alone keeps its port, listening or not.
func TestTCPSole(t *testing.T) {
	r := newRoom(t)
	o := group(rules.TCP, 1)
	o.Shared = false
	d, members := r.mustOpen(user, o, rules.Owned)
	listen(t, members...)
	r.wantConnected(10, members...)
	r.wantKept(d, user, rules.Owned)
}

// On an address other than [::] TCP promises nothing: after a stranger has bound
// beside it, the kernel gives [::] to the stranger, even of another user. The door
// notices.
func TestTCPOnOneAddress(t *testing.T) {
	for _, members := range []int{1, 2} {
		r := newRoom(t)
		o := group(rules.TCP, members)
		o.Addr, o.Shared = at("[::1]:4433"), false
		d, fds := r.mustOpen(root, o, rules.Unguarded)
		listen(t, fds...)
		r.as(user, func() error {
			beside, in := stranger{name: "beside", addr: "0.0.0.0", reusePort: true}.try(t, rules.TCP)
			if !in {
				t.Error("refused beside the address")
			}
			unix.Close(beside)
			all, in := plainStranger.try(t, rules.TCP)
			if !in {
				t.Error("the kernel does not give [::] away: say so in the documentation")
			}
			wantNamed(t, d, in, user, plainStranger)
			unix.Close(all)
			return nil
		})
	}
}
