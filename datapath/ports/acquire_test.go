// SPDX-License-Identifier: MIT

package ports

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/internal/descriptors"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/reserve"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// acquire gets a port in the namespace, in this process.
func (r *room) acquire(request Request) (l *Lease, err error) {
	r.Helper()
	r.ns.Do(r, func() error {
		l, err = Acquire(request)
		return nil
	})
	return l, err
}

// mustAcquire gets it until the test ends.
func (r *room) mustAcquire(request Request) *Lease {
	r.Helper()
	l, err := r.acquire(request)
	r.must(err)
	r.Cleanup(l.Release)
	return l
}

// wantNoLease fails unless a port is refused with this errno, in these words.
func (r *room) wantNoLease(request Request, errno unix.Errno, words ...string) {
	r.Helper()
	l, err := r.acquire(request)
	if err == nil {
		l.Release()
		r.Errorf("%+v is granted", request)
		return
	}
	if got := kerr.Errno(err); got != errno {
		r.Errorf("errno %d of %q, want %d", got, err, errno)
	}
	wantWords(r, err.Error(), words...)
}

func TestLease(t *testing.T) {
	r := enterRoom(t)
	l, err := r.acquire(member(0))
	r.must(err)
	if l.Shared() || l.Tier() != rules.Owned || l.Addr() != member(0).Addr || l.Shortfall() != nil {
		t.Errorf("%+v", l)
	}
	sockets := l.TakeSockets()
	if len(sockets) != 2 || l.TakeSockets() != nil {
		t.Errorf("sockets %v, then %v", sockets, l.TakeSockets())
	}
	r.wantNoLease(member(0), unix.EADDRINUSE, "UDP port 4433", "pid "+strconv.Itoa(os.Getpid()))
	r.wantNoLease(member(1), unix.EADDRINUSE, "UDP port 4433")
	tcp := member(0)
	tcp.Proto, tcp.New = rules.TCP, func() (int, error) { return unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) }
	r.mustAcquire(tcp)
	descriptors.CloseAll(sockets)
	l.Release()
	l.Release()
	r.mustAcquire(member(0))
}

// Who has left is not only dead, but unknown.
func TestReleaseWithdraws(t *testing.T) {
	r := enterRoom(t)
	c := r.client()
	one, two := r.mustAcquire(member(1)), r.mustAcquire(member(2))
	two.Release()
	c.wantNobody(2)
	until(t, "they are counted", func() bool {
		counters, err := one.group.Counters()
		r.must(err)
		return counters.UnknownIdentifier == 4
	})
}

// One joins the last member in the moment when it has closed its sockets and not
// given back the port. The port is steered all the same.
func TestJoinWhoIsLeaving(t *testing.T) {
	for _, tier := range []string{"owned", "guarded", "unguarded"} {
		r := enterRoom(t)
		t.Setenv(TierEnv, tier)
		c := r.client()
		leaving := r.mustAcquire(member(1))
		descriptors.CloseAll(leaving.TakeSockets())
		sockets := map[int][]int{}
		for id := 2; id < 4; id++ {
			sockets[id] = r.mustAcquire(member(id)).TakeSockets()
			defer descriptors.CloseAll(sockets[id])
		}
		leaving.Release()
		for id := range 5 {
			c.send(id)
		}
		for id, fds := range sockets {
			got := 0
			for _, fd := range fds {
				for text := c.receive(fd, 0); text != ""; text = c.receive(fd, 0) {
					got++
					if identifier(" "+text) != id {
						t.Errorf("%s: %d got %.40q", tier, id, text)
					}
				}
			}
			if got != 4 {
				t.Errorf("%s: %d got %d datagrams, want 4", tier, id, got)
			}
		}
	}
}

// What a lease has, anybody can list.
func TestClaimsOfLeases(t *testing.T) {
	r := enterRoom(t)
	for id := range 3 {
		r.mustAcquire(member(id + 1))
	}
	t.Setenv(TierEnv, "guarded")
	any := member(0)
	any.Addr = netip.AddrPortFrom(any.Addr.Addr(), 0)
	r.mustAcquire(any)
	held, err := portres.List(r.dir())
	r.must(err)
	var got []string
	for _, h := range held {
		got = append(got, strings.Join([]string{h.Party.Kind.String(), h.Party.ID.String(), h.Party.Tier.String()}, " "))
	}
	if strings.Join(got[:3], ", ") != "cibir 0001 owned, cibir 0002 owned, cibir 0003 owned" || len(got) != 4 || got[3] != "listener  guarded" {
		t.Errorf("held: %q", got)
	}
}

func TestRequestsThatContradictThemselves(t *testing.T) {
	r := enterRoom(t)
	long, bad := member(1), member(1)
	long.Encoding.Length = 3
	bad.Encoding = cibir.Encoding{}
	for _, request := range []Request{long, bad} {
		r.wantNoLease(request, unix.EINVAL, "listen(udp [::]:4433)")
	}
	t.Setenv(TierEnv, "steel")
	r.wantNoLease(member(0), unix.EINVAL, TierEnv+"=steel", "unguarded, guarded and owned")
}

// A CIBIR listener that cannot share its port serves it alone, and says why.
func TestServesAlone(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Request)
		why    string
	}{
		"an address": {func(q *Request) { q.Addr = netip.MustParseAddrPort("[::1]:4433") }, "only a listener on [::]"},
		"IPv4": {func(q *Request) {
			q.Addr = netip.MustParseAddrPort("0.0.0.0:4433")
			q.New = func() (int, error) { return unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) }
		}, "only a listener on [::]"},
		"an interface": {func(q *Request) {
			q.Device = true
			q.New = func() (int, error) {
				fd, err := newSocket()
				return fd, errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, 1))
			}
		}, "on all interfaces"},
		"many sockets": {func(q *Request) { q.Sockets = 65 }, "65 sockets, and one that shares its port can have 64"},
		"TCP": {func(q *Request) {
			q.Proto = rules.TCP
			q.New = func() (int, error) { return unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) }
		}, "only a UDP port"},
	} {
		t.Run(name, func(t *testing.T) {
			r := enterRoom(t)
			request := member(1)
			test.change(&request)
			l := r.mustAcquire(request)
			if l.Shared() || l.Shortfall() == nil {
				t.Fatalf("shared %v, shortfall %v", l.Shared(), l.Shortfall())
			}
			wantWords(t, l.Shortfall().Error(), test.why)
			other := member(2)
			other.Proto, other.New = request.Proto, request.New
			r.wantNoLease(other, unix.EADDRINUSE, "shares it with nobody")
		})
	}
}

// Without a state directory the kernel alone keeps a port.
func TestWithoutStateDirectory(t *testing.T) {
	r := enterRoom(t)
	r.must(os.Mkdir(r.base, 0o777))
	r.must(os.Chmod(r.base, 0o777))
	for id := range 2 {
		l, err := r.acquire(member(id))
		r.must(err)
		if l.Shared() || l.Tier() != rules.Owned || l.Shortfall() == nil {
			t.Fatalf("%+v", l)
		}
		wantWords(t, l.Shortfall().Error(), "everybody may write to it")
		r.wantNoLease(member(0), unix.EADDRINUSE, "UDP port 4433 is held by", "pid "+strconv.Itoa(os.Getpid()))
		l.Release()
	}
	r.reserveShared([]uint32{alice}, nil)
	r.wantNoLease(member(0), unix.EADDRINUSE, "reserved")
	r.wantNoLease(member(1), unix.EADDRINUSE, "reserved")
}

// A foreign program has the port, or a part of it.
func TestForeignHolder(t *testing.T) {
	r := enterRoom(t)
	for _, local := range []unix.Sockaddr{&unix.SockaddrInet6{Port: number}, &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}} {
		family := unix.AF_INET6
		if _, ok := local.(*unix.SockaddrInet4); ok {
			family = unix.AF_INET
		}
		var fd int
		r.ns.Do(t, func() (err error) {
			fd, err = boundTo(family, local)
			return err
		})
		for id := range 2 {
			r.wantNoLease(member(id), unix.EADDRINUSE, "UDP port 4433 is held by", "pid "+strconv.Itoa(os.Getpid()), filepath.Base(os.Args[0]))
		}
		unix.Close(fd)
	}
	if held, err := portres.List(r.dir()); err != nil || len(held) != 0 {
		t.Errorf("claims %+v, %v", held, err)
	}
}

// Nobody gets a port if it cannot be found out for whom it is reserved, and
// everybody is told so.
func TestReservationsThatCannotBeRead(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"damaged":     func(path string) error { return os.WriteFile(path, []byte("garbage"), 0o644) },
		"for anybody": func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o666), os.Chmod(path, 0o666)) },
		"no file":     func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		for _, state := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				r := enterRoom(t)
				path := r.base + ".reservations"
				r.must(spoil(path))
				if !state {
					t.Setenv(rundir.Env, "relative")
				}
				for id := range 2 {
					for _, port := range []uint16{0, number} {
						request := member(id)
						request.Addr = netip.AddrPortFrom(request.Addr.Addr(), port)
						l, err := r.acquire(request)
						if err == nil {
							l.Release()
							t.Fatal("granted")
						}
						wantWords(t, err.Error(), "is reserved cannot be found out", path)
						if kerr.Errno(err) == unix.EADDRINUSE {
							t.Errorf("%v is an EADDRINUSE", err)
						}
					}
				}
			})
		}
	}
}

// A reservation for sharing admits those it names with its encoding.
func TestReservation(t *testing.T) {
	r := enterRoom(t)
	r.reserveShared([]uint32{0}, nil)
	r.mustAcquire(member(1))
	r.mustAcquire(member(2))
	r.wantNoLease(member(0), unix.EADDRINUSE, "reserved")
	encoded := member(3)
	encoded.Encoding.SourceOffset = 1
	r.wantNoLease(encoded, unix.EADDRINUSE, "encoding")
	_, err := reserve.Open(r.base + ".reservations").Create(reserve.Reservation{
		Range: reserve.Range{Proto: rules.UDP, Start: number + 1, Count: 1}, Exclusive: true, UIDs: []uint32{0},
	})
	r.must(err)
	exclusive, shared := member(0), member(1)
	exclusive.Addr = netip.AddrPortFrom(exclusive.Addr.Addr(), number+1)
	shared.Addr = exclusive.Addr
	r.wantNoLease(shared, unix.EADDRINUSE, "reserved")
	r.mustAcquire(exclusive)
}

// The same port in two namespaces is two ports.
func TestNamespaces(t *testing.T) {
	r := enterRoom(t)
	elsewhere := *r
	elsewhere.ns = netnstest.New(t)
	for id := range 2 {
		one, err := r.acquire(member(id))
		r.must(err)
		two, err := elsewhere.acquire(member(id))
		r.must(err)
		one.Release()
		two.Release()
	}
}

// A member that is refused, or fails on the way, leaves nothing open, and a lease
// that comes and goes neither.
func TestNoDescriptorIsLeaked(t *testing.T) {
	r := newRoom(t)
	for _, tier := range tiers {
		one, two := r.start("one", tier.as), r.start("two", tier.as)
		one.acquire(1)
		var before int
		for round := range 4 {
			two.acquire(2)
			two.do(order{Do: "release"})
			two.wantRefused(order{ID: 1}, unix.EADDRINUSE)
			two.wantRefused(order{}, unix.EADDRINUSE)
			if n := two.do(order{Do: "count"}).FDs; round == 0 {
				before = n // the runtime has opened its own by now
			} else if n != before {
				t.Errorf("%d descriptors open, were %d", n, before)
			}
		}
		open := one.do(order{Do: "count"}).FDs
		two.acquire(2)
		two.killed()
		until(t, "the member has closed what it had open", func() bool { return one.do(order{Do: "count"}).FDs <= open })
		one.killed()
	}
}

// Whichever socket cannot be made: nothing stays open, and the port is free.
func TestSocketCannotBeMade(t *testing.T) {
	r := enterRoom(t)
	for _, joins := range []bool{false, true} {
		if joins {
			r.mustAcquire(member(1))
		}
		for id := range 2 {
			if joins && id == 0 {
				continue
			}
			for fail := 1; ; fail++ {
				request, made := member(2*id), 0
				request.New = func() (int, error) {
					if made++; made == fail {
						return -1, kerr.New("socket", "udp", unix.EMFILE, "")
					}
					return newSocket()
				}
				before, err := netnstest.OpenFDs()
				r.must(err)
				l, err := r.acquire(request)
				if err == nil {
					l.Release()
					if made >= fail {
						t.Errorf("%d sockets were made, and the failure of number %d is lost", made, fail)
					}
					break
				}
				if !errors.Is(err, unix.EMFILE) {
					t.Errorf("socket %d cannot be made: %v", fail, err)
				}
				until(t, "the descriptors are closed", func() bool { // the member's end of the connection, too
					after, err := netnstest.OpenFDs()
					return err == nil && len(after) == len(before)
				})
			}
		}
	}
}
