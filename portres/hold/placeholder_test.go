// SPDX-License-Identifier: MIT

package hold

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// place places a placeholder as a user, until the test ends.
func (r room) place(uid int, proto rules.Proto, port uint16) (p *Placeholder) {
	r.t.Helper()
	r.as(uid, func() (err error) {
		p, err = Place(proto, port)
		return err
	})
	r.t.Cleanup(p.Close)
	return p
}

func TestPlaceholderKeepsEverybodyOff(t *testing.T) {
	for _, proto := range []rules.Proto{rules.UDP, rules.TCP} {
		r := newRoom(t)
		p := r.place(user, proto, port)
		if p.Addr() != at("[::]:4433") || p.FD() < 0 {
			t.Errorf("descriptor %d at %s", p.FD(), p.Addr())
		}
		for _, uid := range []int{root, user, other} {
			r.as(uid, func() error {
				for _, s := range strangers {
					if fd, in := s.try(t, proto); in {
						t.Errorf("%s of uid %d gets in", s.name, uid)
						unix.Close(fd)
					}
				}
				_, err := Place(proto, port)
				wantInUse(t, err)
				return nil
			})
		}
		p.Close()
		p.Close()
		r.as(root, func() error {
			fd, in := stranger{addr: "::"}.try(t, proto)
			if !in {
				t.Error("still held after Close")
			}
			return unix.Close(fd)
		})
	}
}

func TestPlaceholderOnPort0(t *testing.T) {
	r := newRoom(t)
	a, b := r.place(user, rules.UDP, 0), r.place(user, rules.UDP, 0)
	if a.Addr().Port() == 0 || a.Addr() == b.Addr() {
		t.Errorf("at %s and %s", a.Addr(), b.Addr())
	}
}

// Who sends to a UDP placeholder learns nothing, and what is sent takes no memory.
func TestPlaceholderSwallows(t *testing.T) {
	r := newRoom(t)
	p := r.place(user, rules.UDP, port)
	for _, ip := range []string{"127.0.0.1", "::1"} {
		r.as(root, func() error {
			fd, err := dial(rules.UDP, ip)
			defer unix.Close(fd)
			for range 3 { // an ICMP error to one would fail the next
				if _, err := unix.Write(fd, make([]byte, 1000)); err != nil {
					t.Errorf("%s: %v", ip, err)
				}
			}
			return err
		})
	}
	if got := drain(t, p.FD()); got[0] != 0 {
		t.Errorf("%d datagrams are queued", got[0])
	}
}

// A placeholder makes way for members, and nobody gets in between.
func TestPlaceholderMakesWay(t *testing.T) {
	eachTier(t, func(r room, uid int, tier rules.Tier, o Options) {
		o.Addr = at("[::]:0") // the placeholder's port
		for _, test := range []struct {
			who int
			stranger
		}{{other, plainStranger}, {other, deviceStranger}, {uid, plainStranger}, {uid, deviceStranger}} {
			if test.who == uid && tier != rules.Owned {
				continue // of the same user it may, and then Open says so
			}
			h := r.hammer(test.who, rules.UDP, test.stranger)
			for range 10 {
				until(t, func() bool { // the stranger comes and goes while the port is free
					r.as(uid, func() error { o.Placeholder, _ = Place(rules.UDP, port); return nil })
					return o.Placeholder != nil
				})
				ins := h.ins.Load()
				d, members, err := r.open(uid, o)
				if err != nil {
					t.Fatal(err)
				}
				if d.Addr().Port() != port || d.Tier() != tier || o.Placeholder.FD() != -1 {
					t.Errorf("at %s, tier %s, placeholder still %d", d.Addr(), d.Tier(), o.Placeholder.FD())
				}
				h.wantOut(t, 3)
				if got := h.ins.Load() - ins; got != 0 {
					t.Errorf("%s of uid %d got in %d times", test.name, test.who, got)
				}
				descriptors.CloseAll(members)
				d.Release()
			}
			h.quit()
		}
	})
}

func TestPlaceholderOfAnotherPort(t *testing.T) {
	r := newRoom(t)
	for _, spoil := range []func(o *Options){
		func(o *Options) { o.Addr = at("[::]:4434") },
		func(o *Options) { o.Proto = rules.TCP },
	} {
		o := group(rules.UDP, 1)
		o.Placeholder = r.place(user, rules.UDP, port)
		spoil(&o)
		if _, _, err := r.open(user, o); err == nil {
			t.Error("it was taken")
		}
		r.wantFree()
	}
}

func TestAdoptPlaceholder(t *testing.T) {
	r := newRoom(t)
	for _, proto := range []rules.Proto{rules.UDP, rules.TCP} {
		given := r.place(user, proto, port)
		fd, err := unix.FcntlInt(uintptr(given.FD()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		taken, err := AdoptPlaceholder(fd)
		if err != nil {
			t.Fatal(err)
		}
		given.Close()
		if taken.Addr() != at("[::]:4433") {
			t.Errorf("at %s", taken.Addr())
		}
		o := group(proto, 2)
		o.Placeholder = taken
		r.mustOpen(root, o, rules.Owned)
	}
	for name, open := range map[string]func() (int, error){
		"no socket": func() (int, error) { return unix.Open("/dev/null", unix.O_CLOEXEC, 0) },
		"unbound":   func() (int, error) { return plainSocket(rules.UDP, unix.AF_INET6) },
		"of another family": func() (int, error) {
			return unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		},
		"of another protocol": func() (int, error) {
			return unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		},
		"shared": func() (fd int, err error) {
			r.as(root, func() error { fd, err = plainStranger.bind(rules.UDP, port+1); return nil })
			return fd, err
		},
	} {
		fd, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := AdoptPlaceholder(fd); err == nil {
			t.Errorf("took what is %s", name)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("%s: the descriptor is still open", name)
		}
	}
}
