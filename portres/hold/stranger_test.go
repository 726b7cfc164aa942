// SPDX-License-Identifier: MIT

package hold

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// stranger is a socket of a program that knows nothing of doors.
type stranger struct {
	name      string
	addr      string
	v6only    bool
	reusePort bool
	reuseAddr bool
	device    int
}

// strangers all overlap with [::]. The last ones are bound to interfaces.
var strangers = []stranger{
	{name: "v4 any", addr: "0.0.0.0"},
	{name: "v4 any, reuse address", addr: "0.0.0.0", reuseAddr: true},
	{name: "v4 any, reuse port", addr: "0.0.0.0", reusePort: true},
	{name: "dual", addr: "::"},
	{name: "dual, reuse address", addr: "::", reuseAddr: true},
	{name: "dual, reuse port", addr: "::", reusePort: true},
	{name: "dual, reuse both", addr: "::", reusePort: true, reuseAddr: true},
	{name: "v6 any, reuse port", addr: "::", v6only: true, reusePort: true},
	{name: "127.0.0.1", addr: "127.0.0.1"},
	{name: "127.0.0.1, reuse port", addr: "127.0.0.1", reusePort: true},
	{name: "mapped 127.0.0.1, reuse port", addr: "::ffff:127.0.0.1", reusePort: true},
	{name: "127.0.0.2, reuse port", addr: "127.0.0.2", reusePort: true},
	{name: "::1", addr: "::1"},
	{name: "::1, reuse port", addr: "::1", reusePort: true},
	{name: "::1, reuse both", addr: "::1", reusePort: true, reuseAddr: true},
	{name: "on lo, v4", addr: "0.0.0.0", device: loopback},
	{name: "on lo, v4, reuse port", addr: "0.0.0.0", reusePort: true, device: loopback},
	{name: "on lo, dual, reuse port", addr: "::", reusePort: true, device: loopback},
	{name: "on lo, ::1, reuse port", addr: "::1", reusePort: true, device: loopback},
	{name: "on no interface, dual, reuse port", addr: "::", reusePort: true, device: noInterface - 1},
	{name: "where the guard is, dual, reuse both", addr: "::", reusePort: true, reuseAddr: true, device: noInterface},
}

// bind binds the socket as the thread's user.
func (s stranger) bind(proto rules.Proto, port uint16) (fd int, err error) {
	ip := netip.MustParseAddr(s.addr)
	family := unix.AF_INET6
	if ip.Is4() {
		family = unix.AF_INET
	}
	if fd, err = plainSocket(proto, family); err != nil {
		return -1, err
	}
	if s.v6only {
		err = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1)
	}
	for _, o := range []struct {
		option int
		value  int
	}{
		{unix.SO_REUSEPORT, flag(s.reusePort)},
		{unix.SO_REUSEADDR, flag(s.reuseAddr)},
		{unix.SO_BINDTOIFINDEX, s.device},
	} {
		if err == nil && o.value != 0 {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.option, o.value)
		}
	}
	if err == nil {
		err = bind(fd, netip.AddrPortFrom(ip, port))
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// gets reports whether a stranger gets in beside members, by the promise of the tier.
func (s stranger) gets(tier rules.Tier, sameUser bool) bool {
	switch {
	case !s.reusePort || !sameUser:
		return false
	case tier == rules.Guarded:
		return s.device != 0 && s.device != noInterface
	}
	return tier == rules.Unguarded
}

func (s stranger) shape() shape {
	return newShape(netip.MustParseAddr(s.addr), s.v6only, uint32(s.device))
}

// party is how a stranger of this process is named.
func (s stranger) party(t *testing.T, uid int) rules.Party {
	t.Helper()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return rules.Party{
		UID: uint32(uid), DeviceBound: s.device != 0,
		Process: os.Getpid(), Program: strings.TrimSpace(string(comm)), SameProcess: true,
	}
}

// try binds a stranger as the thread's user.
func (s stranger) try(t *testing.T, proto rules.Proto) (fd int, in bool) {
	t.Helper()
	fd, err := s.bind(proto, port)
	if err != nil && kerr.Errno(err) != unix.EADDRINUSE {
		t.Errorf("%s: %v", s.name, err)
	}
	return fd, err == nil
}

// try binds a stranger as a user.
func (r room) try(uid int, proto rules.Proto, s stranger) (fd int, in bool) {
	r.t.Helper()
	r.as(uid, func() error {
		fd, in = s.try(r.t, proto)
		return nil
	})
	return fd, in
}

// wantKept fails unless every stranger of every user gets just as far as a tier
// says, and is noticed by the door if it gets in. owner is the user of the members.
func (r room) wantKept(d *Door, owner int, tier rules.Tier) {
	r.t.Helper()
	for _, uid := range []int{root, user, other} {
		r.as(uid, func() error {
			for _, s := range strangers {
				fd, in := s.try(r.t, d.o.Proto)
				beside := d.shape.overlaps(s.shape())
				if want := !beside || s.gets(tier, uid == owner); in != want {
					r.t.Errorf("%s of uid %d gets in: %v, want %v", s.name, uid, in, want)
				}
				wantNamed(r.t, d, in && beside, uid, s)
				unix.Close(fd)
			}
			return nil
		})
	}
}

// wantNamed fails unless the door notices a stranger that is there, and nobody
// else. It does not count one that receives nothing, and cannot tell one that
// looks like a member from a member.
func wantNamed(t *testing.T, d *Door, in bool, uid int, s stranger) {
	t.Helper()
	found, err := d.Intruders()
	if err != nil {
		t.Error(err)
	}
	var want []rules.Party
	if in && s.device != noInterface && !(d.o.Shared && s.shape() == d.shape) {
		want = append(want, s.party(t, uid))
	}
	if !slices.Equal(found, want) {
		t.Errorf("%s of uid %d is in: %v; the intruders are %+v, want %+v", s.name, uid, in, found, want)
	}
}

func TestStrangersAfter(t *testing.T) {
	for _, shared := range []bool{true, false} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
				o.Shared = shared
				d, _ := r.mustOpen(uid, o, tier)
				r.wantKept(d, uid, tier)
			})
		})
	}
}

// A stranger that has the port already is named, whatever it is.
func TestStrangersBefore(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		r.as(root, func() error {
			for _, who := range []int{root, user, other} {
				for _, s := range strangers {
					wantStopped(t, s, who, uid, o)
				}
			}
			return nil
		})
	})
}

// wantStopped fails unless a door stays shut for its opener, and it names the
// stranger in it.
func wantStopped(t *testing.T, s stranger, who, opener int, o Options) {
	t.Helper()
	unix.SetfsuidRetUid(who) // of this thread: sockets are that user's, and CAP_CHOWN is gone with root
	fd, in := s.try(t, o.Proto)
	unix.SetfsuidRetUid(opener)
	d, members, err := Open(o)
	unix.SetfsuidRetUid(root)
	unix.Close(fd)
	if err == nil || !in {
		t.Errorf("%s of uid %d is in: %v; the door opens: %v", s.name, who, in, err)
		descriptors.CloseAll(members)
		d.Release()
		return
	}
	refusal := wantInUse(t, err)
	if want := s.party(t, who); len(refusal.Holders) != 1 || refusal.Holders[0] != want || refusal.Entered {
		t.Errorf("%s of uid %d: %+v, want %+v", s.name, who, refusal, want)
	}
}

// hammer is a stranger that tries all the time, and leaves as soon as it is in.
type hammer struct {
	tries, ins atomic.Int64
	stop       chan struct{}
	stopped    chan struct{}
}

// start hammers as a user until the test ends, or quit.
func (r room) hammer(uid int, proto rules.Proto, s stranger) *hammer {
	h := &hammer{stop: make(chan struct{}), stopped: make(chan struct{})}
	go func() {
		defer close(h.stopped)
		r.as(uid, func() error {
			for {
				select {
				case <-h.stop:
					return nil
				default:
				}
				if fd, err := s.bind(proto, port); err == nil {
					h.ins.Add(1)
					unix.Close(fd)
				}
				h.tries.Add(1)
			}
		})
	}()
	r.t.Cleanup(h.quit)
	return h
}

func (h *hammer) quit() {
	if h.stop != nil {
		close(h.stop)
		<-h.stopped
		h.stop = nil
	}
}

// wantOut fails if the stranger gets in during its next tries.
func (h *hammer) wantOut(t *testing.T, tries int64) {
	t.Helper()
	ins, end := h.ins.Load(), h.tries.Load()+tries
	until(t, func() bool { return h.tries.Load() >= end })
	if got := h.ins.Load() - ins; got != 0 {
		t.Errorf("the stranger got in %d times in %d tries", got, tries)
	}
}
