// SPDX-License-Identifier: MIT

package hold

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// withoutFamily takes an address family away from the thread, as a kernel
// without it does, or a container's seccomp profile.
func withoutFamily(family uint32, errno unix.Errno) error {
	const nr, domain = 0, 16 // offsets in struct seccomp_data
	load := func(off uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: off}
	}
	differs := func(k uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: skip, K: k}
	}
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	filter := []unix.SockFilter{
		load(nr), differs(unix.SYS_SOCKET, 3),
		load(domain), differs(family, 1),
		ret(unix.SECCOMP_RET_ERRNO | uint32(errno)),
		ret(unix.SECCOMP_RET_ALLOW),
	}
	program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(program)), 0, 0)
	runtime.KeepAlive(filter)
	return err
}

// IPv6 that is merely switched off on the interfaces changes nothing.
func TestIPv6SwitchedOff(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		r.ns.Sysctl(t, "net/ipv6/conf/all/disable_ipv6", "1")
		d, members := r.mustOpen(uid, o, tier)
		r.mustAdmit(uid, d, 1)
		steer(t, members[0])
		for _, s := range strangers {
			if s.addr == "::1" || s.addr == "::" && s.device == loopback {
				continue // there is no such address
			}
			fd, in := r.try(uid, rules.UDP, s)
			if want := s.gets(tier, true); in != want {
				t.Errorf("%s gets in: %v, want %v", s.name, in, want)
			}
			unix.Close(fd)
		}
		for key := range members {
			r.send("127.0.0.1", byte(key), 5)
			if got := drain(t, members...); got[key] != 5 || got[0]+got[1] != 5 {
				t.Errorf("datagrams for member %d arrive as %v", key, got)
			}
		}
	})
}

// Without AF_INET6 there is no guarded tier, and the rest is as ever.
func TestNoIPv6(t *testing.T) {
	for uid, tier := range map[int]rules.Tier{root: rules.Owned, user: rules.Unguarded} {
		t.Run(fmt.Sprintf("uid %d", uid), func(t *testing.T) {
			r := newRoom(t)
			o := group(rules.UDP, 2)
			o.NewSocket = sockets(rules.UDP, unix.AF_INET)
			r.as(uid, func() error {
				if err := withoutFamily(unix.AF_INET6, unix.EAFNOSUPPORT); err != nil {
					return err
				}
				if _, err := plainSocket(rules.UDP, unix.AF_INET6); kerr.Errno(err) != unix.EAFNOSUPPORT {
					t.Errorf("the family is still there: %v", err)
				}
				p, err := Place(rules.UDP, port)
				if err != nil || p.Addr() != at("0.0.0.0:4433") {
					t.Errorf("placeholder %+v, %v", p, err)
				}
				o.Placeholder = p
				d, members, err := Open(o)
				if err != nil {
					return err
				}
				defer d.Release()
				defer descriptors.CloseAll(members)
				more, err := d.Admit(1)
				defer descriptors.CloseAll(more)
				if d.Tier() != tier || d.Addr() != at("0.0.0.0:4433") {
					t.Errorf("tier %s at %s", d.Tier(), d.Addr())
				}
				return err
			})
		})
	}
}

// Without sock_diag nobody can be named, and the guarded tier cannot be sure
// that nobody slipped in while the guard was off.
func TestNoSockDiag(t *testing.T) {
	for _, tier := range tiers {
		t.Run(fmt.Sprintf("%s by uid %d", tier.Tier, tier.uid), func(t *testing.T) {
			r := newRoom(t)
			r.as(tier.uid, func() error {
				if err := withoutFamily(unix.AF_NETLINK, unix.EPERM); err != nil {
					return err
				}
				o := most(group(rules.UDP, 2), tier.most)
				d, members, err := Open(o)
				if err != nil {
					return err
				}
				defer d.Release()
				defer descriptors.CloseAll(members)
				want := rules.Unguarded
				if tier.Tier == rules.Owned {
					want = rules.Owned
				}
				if d.Tier() != want {
					t.Errorf("tier %s, want %s", d.Tier(), want)
				}
				if _, err := d.Intruders(); !errors.Is(err, unix.EPERM) {
					t.Errorf("intruders: %v", err)
				}
				_, _, err = Open(o)
				if refusal := wantInUse(t, err); len(refusal.Holders) != 0 {
					t.Errorf("refused by %+v", refusal)
				}
				more, err := d.Admit(1)
				descriptors.CloseAll(more)
				return err
			})
		})
	}
}
