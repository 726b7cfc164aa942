// SPDX-License-Identifier: MIT

package hold

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// steer makes a datagram reach the member whose number is its first byte.
func steer(t *testing.T, member int) {
	t.Helper()
	if err := attachSteering(member); err != nil {
		t.Fatal(err)
	}
}

func attachSteering(member int) error {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS}, // A = payload[0]
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	return unix.SetsockoptSockFprog(member, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// dial returns a socket that is connected to the port.
func dial(proto rules.Proto, ip string) (fd int, err error) {
	if fd, err = plainSocket(proto, unix.AF_INET6); err != nil {
		return -1, err
	}
	sa, err := sockaddr(fd, netip.AddrPortFrom(netip.MustParseAddr(ip), port))
	if err == nil {
		err = unix.Connect(fd, sa)
	}
	return fd, err
}

// sendTo sends datagrams to the port, and returns when they are in a queue or
// dropped: over loopback that is before write returns.
func sendTo(ip string, key byte, n int) error {
	fd, err := dial(rules.UDP, ip)
	defer unix.Close(fd)
	for range n {
		if err == nil {
			_, err = unix.Write(fd, []byte{key})
		}
	}
	return err
}

func (r room) send(ip string, key byte, n int) {
	r.t.Helper()
	r.as(root, func() error { return sendTo(ip, key, n) })
}

// drain returns how many datagrams wait at each socket.
func drain(t rapid.TB, fds ...int) []int {
	t.Helper()
	counts := make([]int, len(fds))
	for i, fd := range fds {
		for {
			if _, _, err := unix.Recvfrom(fd, make([]byte, 16), unix.MSG_DONTWAIT); err != nil {
				if err != unix.EAGAIN {
					t.Fatal(err)
				}
				break
			}
			counts[i]++
		}
	}
	return counts
}

// wantSteered fails unless every member receives what is for it, of both
// versions, and the guard nothing.
func (r room) wantSteered(d *Door, members ...int) {
	r.t.Helper()
	all := members
	if d.guarded {
		all = append(slices.Clone(members), d.guard)
	}
	for _, to := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		for key := range members {
			drain(r.t, all...)
			r.send(to, byte(key), 5)
			want := make([]int, len(all))
			want[key] = 5
			if got := drain(r.t, all...); !slices.Equal(got, want) {
				r.t.Errorf("datagrams to %s for member %d of %d arrive as %v", to, key, len(members), got)
			}
		}
	}
}

func TestDelivery(t *testing.T) {
	for _, members := range []int{1, 2, 14} { // more than 10 in one hash slot are looked up otherwise
		t.Run(fmt.Sprintf("%d members", members), func(t *testing.T) {
			eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
				o.Members = members
				d, fds := r.mustOpen(uid, o, tier)
				steer(t, fds[0])
				r.wantSteered(d, fds...)
				fds = append(fds, r.mustAdmit(uid, d, 2)...)
				r.wantSteered(d, fds...)
			})
		})
	}
}

// Whoever sends is answered by a member or by nobody, never by an error.
func TestSpares(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		o.Spares = 2
		d, fds := r.mustOpen(uid, o, tier)
		if tier != rules.Guarded {
			if len(d.spares) != 0 {
				t.Errorf("%d spares, where nobody needs any", len(d.spares))
			}
			return
		}
		steer(t, fds[0])
		r.wantSteered(d, fds...)
		for key := range 2 { // the spares are numbered behind the members
			r.send("::1", byte(len(fds)+key), 3)
		}
		if got := drain(t, d.spares...); got[0]+got[1] != 0 {
			t.Errorf("spares received %v", got)
		}

		fd, ok, err := d.TakeSpare()
		if !ok || err != nil {
			t.Fatalf("no spare: %v", err)
		}
		defer unix.Close(fd)
		fds = append(fds, fd)
		r.wantSteered(d, fds...)

		// The second spare by Admit, as a user who could not bind; then there is none.
		r.wantSteered(d, append(fds, r.mustAdmit(other, d, 1)...)...)
		r.wantKept(d, uid, tier)
		if _, ok, err := d.TakeSpare(); ok || err != nil {
			t.Errorf("a third spare of two: %v, %v", ok, err)
		}
	})
}
