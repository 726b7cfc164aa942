// SPDX-License-Identifier: MIT

package hold

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

const allCapabilities = ^uint64(0)

// limit leaves the thread these capabilities of those that it has.
func limit(capabilities uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for i := range data {
		data[i].Permitted &= uint32(capabilities >> (32 * i))
		data[i].Effective = data[i].Permitted
		data[i].Inheritable = 0
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// becomeKeeping becomes a user who keeps some capabilities.
func becomeKeeping(uid int, capabilities uint64) error {
	err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0)
	return errors.Join(err, become(uid), limit(capabilities))
}

// CAP_CHOWN alone makes the difference, whoever has it.
func TestCapabilities(t *testing.T) {
	r := newRoom(t)
	type test struct {
		name         string
		uid          int
		capabilities uint64
		want         rules.Tier
	}
	tests := []test{
		{"root with none", root, 0, rules.Guarded},
		{"root with CAP_CHOWN only", root, 1 << unix.CAP_CHOWN, rules.Owned},
		{"a user with none", user, 0, rules.Guarded},
		{"a user with CAP_CHOWN only", user, 1 << unix.CAP_CHOWN, rules.Owned},
		{"a user with all but CAP_CHOWN", user, allCapabilities &^ (1 << unix.CAP_CHOWN), rules.Guarded},
	}
	for c := range unix.CAP_LAST_CAP + 1 {
		want := rules.Owned
		if c == unix.CAP_CHOWN {
			want = rules.Guarded
		}
		tests = append(tests, test{fmt.Sprintf("root without capability %d", c), root, allCapabilities &^ (1 << c), want})
	}
	for _, test := range tests {
		o := group(rules.UDP, 2)
		var members []int
		var d *Door
		r.ns.Do(t, func() (err error) {
			if err := becomeKeeping(test.uid, test.capabilities); err != nil {
				return err
			}
			d, members, err = Open(o)
			return err
		})
		if got := d.Tier(); got != test.want {
			t.Errorf("%s: tier %s, want %s", test.name, got, test.want)
		}
		if bits.OnesCount64(test.capabilities) <= 1 {
			r.wantKept(d, test.uid, test.want)
		}
		descriptors.CloseAll(members)
		d.Release()
	}
}

// In a user namespace nobody can be what it does not map.
func TestUserNamespace(t *testing.T) {
	r := newRoom(t)
	a := r.start("contained", &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}},
	})
	if opened, _ := a.mustTell(t, order{Do: "open", Most: rules.Owned}); opened.Tier != rules.Guarded || opened.Owned {
		t.Errorf("opened as %+v", opened)
	}
}

// Whoever opens a port below 1024 may do without the capability afterwards.
func TestPrivilegedPort(t *testing.T) {
	r := newRoom(t)
	o := group(rules.UDP, 1)
	o.Addr = at("[::]:443")
	_, _, err := r.open(user, o)
	if !errors.Is(err, unix.EACCES) {
		t.Errorf("opened by a user: %v", err)
	}
	o.Spares = 1
	d, _ := r.mustOpen(root, most(o, rules.Guarded), rules.Guarded)
	r.mustAdmit(user, d, 1)
}

// The tier of other addresses than [::], and of other options.
func TestTiersOfAddresses(t *testing.T) {
	on := func(device int) func() (int, error) {
		return func() (int, error) {
			fd, err := plainSocket(rules.UDP, unix.AF_INET6)
			return fd, errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, device))
		}
	}
	v6only := func() (int, error) {
		fd, err := plainSocket(rules.UDP, unix.AF_INET6)
		return fd, errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1))
	}
	v4, v6 := sockets(rules.UDP, unix.AF_INET), sockets(rules.UDP, unix.AF_INET6)
	for _, test := range []struct {
		name       string
		addr       string
		socket     func() (int, error)
		root, user rules.Tier
		local      string
	}{
		{"no address", "", v6, rules.Owned, rules.Guarded, "[::]:4433"},
		{"IPv6 only", "[::]:4433", v6only, rules.Owned, rules.Guarded, "[::]:4433"},
		{"::1", "[::1]:4433", v6, rules.Owned, rules.Guarded, "[::1]:4433"},
		{"mapped", "127.0.0.1:4433", v6, rules.Owned, rules.Guarded, "[::ffff:127.0.0.1]:4433"},
		{"mapped any", "0.0.0.0:4433", v6, rules.Owned, rules.Guarded, "[::ffff:0.0.0.0]:4433"},
		{"IPv4", "127.0.0.1:4433", v4, rules.Owned, rules.Unguarded, "127.0.0.1:4433"},
		{"IPv4, any", "[::]:4433", v4, rules.Owned, rules.Unguarded, "0.0.0.0:4433"},
		{"IPv4, mapped", "[::ffff:127.0.0.1]:4433", v4, rules.Owned, rules.Unguarded, "127.0.0.1:4433"},
		{"on an interface", "[::]:4433", on(loopback), rules.Owned, rules.Unguarded, "[::]:4433"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for uid, want := range map[int]rules.Tier{root: test.root, user: test.user} {
				r := newRoom(t)
				o := group(rules.UDP, 2)
				o.NewSocket = test.socket
				o.Addr = netip.AddrPortFrom(netip.Addr{}, port)
				if test.addr != "" {
					o.Addr = at(test.addr)
				}
				d, _ := r.mustOpen(uid, o, want)
				if got := d.Addr(); got != at(test.local) {
					t.Errorf("local address %s, want %s", got, test.local)
				}
				r.wantKept(d, uid, want)
			}
		})
	}
}

// Where an arrangement does not hold, the door finds out.
func TestABrokenGuardIsFound(t *testing.T) {
	for _, test := range []struct {
		name  string
		uid   int
		tier  rules.Tier
		spoil func(d *Door, members []int) error
	}{
		{"not armed", user, rules.Guarded, func(d *Door, _ []int) error {
			return setReusePort(d.guard, 1)
		}},
		{"gone", user, rules.Guarded, func(d *Door, _ []int) error {
			unbound, err := plainSocket(rules.UDP, unix.AF_INET6)
			defer unix.Close(unbound)
			return errors.Join(err, unix.Dup3(unbound, d.guard, unix.O_CLOEXEC))
		}},
		{"bound last", user, rules.Unguarded, func(d *Door, _ []int) (err error) {
			d.guard, err = d.bindMember()
			d.guarded = true
			return errors.Join(err, setOption(d.guard, unix.SO_BINDTOIFINDEX, "", noInterface), setReusePort(d.guard, 0))
		}},
		{"of the user again", root, rules.Owned, func(_ *Door, members []int) error {
			return errors.Join(unix.Fchown(members[0], root, -1), unix.Fchown(members[1], root, -1))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRoom(t)
			d, members := r.mustOpen(test.uid, most(group(rules.UDP, 2), test.tier), test.tier)
			r.as(test.uid, func() error {
				if err := test.spoil(d, members); err != nil {
					return err
				}
				tier, err := d.prove()
				if tier != rules.Unguarded {
					t.Errorf("proved to be %s", tier)
				}
				return err
			})
			if test.tier == rules.Owned {
				return // root's members cannot be joined by the owner's
			}
			r.mustAdmit(test.uid, d, 1)
			if got := d.Tier(); got != rules.Guarded && got != rules.Unguarded {
				t.Errorf("tier %s after the next member", got)
			}
			r.wantKept(d, test.uid, d.Tier())
		})
	}
}

// A guard that does not hold is not kept.
func TestAUselessGuardIsDropped(t *testing.T) {
	r := newRoom(t)
	o := group(rules.UDP, 2)
	o.NewSocket = sockets(rules.UDP, unix.AF_INET) // an IPv4 guard is not the first to be asked
	d, _ := r.mustOpen(user, o, rules.Unguarded)
	if h := d.Handover(); h.Owned || len(h.FDs) != 0 {
		t.Errorf("hands over %+v", h)
	}
	r.wantKept(d, user, rules.Unguarded)
}
