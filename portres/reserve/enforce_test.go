// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/rundir"
)

// enforced is a reservation of a port for user 1000 and group 2000.
func enforced(ports Range) Reservation {
	return Reservation{Range: ports, Exclusive: true, UIDs: []uint32{1000}, GIDs: []uint32{2000}, Enforce: true}
}

// prober starts a prober in the cgroup that must obey.
func (b *sandbox) prober() (p *prober, stop func()) {
	b.t.Helper()
	return newProber(b.t, b.cgroup)
}

// wantBarred checks whether strangers are kept off a port, and that those who
// are permitted are not.
func wantBarred(t *testing.T, p *prober, port uint16, want bool) {
	t.Helper()
	if barred := !p.may(t, port, 1, 1); barred != want {
		t.Errorf("port %d is barred: %v, want %v", port, barred, want)
	}
	if !p.may(t, port, 1000, 1) || !p.may(t, port, 1, 2000) {
		t.Errorf("port %d: those who are permitted are refused", port)
	}
}

func TestEnforcedPortIsForThePermitted(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		token := b.create(enforced(udp(4433, 8)))
		tcpToken := b.create(enforced(tcp(5000, 1)))
		b.create(exclusive(udp(6000, 1))) // not enforced
		if a := b.apply(); !slices.Equal(a.Enforced, []Token{tcpToken, token}) {
			t.Errorf("applied %+v", a)
		}
		p, stop := b.prober()
		defer stop()
		const no, yes = unix.EADDRINUSE, unix.Errno(0)
		for _, test := range []struct {
			kind, at string
			stranger unix.Errno
		}{
			{"udp/4", "0.0.0.0:4433", no},
			{"udp/4", "0.0.0.0:4440", no},
			{"udp/4", "127.0.0.1:4433", no},
			{"udp/6", "[::]:4433", no},
			{"udp/6", "[::1]:4433", no},
			{"udp/6", "[::ffff:127.0.0.1]:4433", no},
			{"udp/6only", "[::]:4440", no},
			{"tcp/4", "0.0.0.0:5000", no},
			{"tcp/6", "[::]:5000", no},
			{"tcp/6only", "[::1]:5000", no},
			{"mptcp/4", "0.0.0.0:5000", no},
			{"mptcp/6", "[::]:5000", no},
			{"udp/4", "0.0.0.0:4432", yes},
			{"udp/6", "[::]:4441", yes},
			{"tcp/6", "[::]:4433", yes}, // UDP and TCP are reserved apart
			{"udp/6", "[::]:5000", yes},
			{"udp/6", "[::]:6000", yes},
			{"udp/4", "0.0.0.0:0", yes},
			{"tcp/6", "[::]:0", yes},
		} {
			for _, who := range []struct {
				uid, gid int
				want     unix.Errno
			}{
				{1, 1, test.stranger},
				{0, 0, test.stranger},    // root is not exempt
				{2000, 1, test.stranger}, // a user is no group
				{1, 1000, test.stranger},
				{1000, 1, yes},
				{1, 2000, yes},
			} {
				_, errno := p.bind(t, test.kind, test.at, who.uid, who.gid)
				if errno == unix.EPROTONOSUPPORT || errno == unix.ENOPROTOOPT {
					continue // a kernel without MPTCP, or with it switched off
				}
				if errno != who.want {
					t.Errorf("%s %s as %d:%d: errno %d, want %d", test.kind, test.at, who.uid, who.gid, errno, who.want)
				}
			}
		}
	})
}

func TestEnforcementIsForItsNamespaceAndCgroup(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(enforced(udp(4433, 1)))
		b.apply()
		elsewhere, stop := newProber(t, "")
		defer stop()
		if !elsewhere.may(t, 4433, 1, 1) {
			t.Error("a process outside the cgroup is refused")
		}
		inside := filepath.Join(b.cgroup, "below")
		if err := os.Mkdir(inside, 0o755); err != nil {
			t.Fatal(err)
		}
		defer removeCgroup(t, inside)
		below, stop := newProber(t, inside)
		defer stop()
		wantBarred(t, below, 4433, true)
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil { // this thread ends soon
			t.Fatal(err)
		}
		other, stop := b.prober()
		defer stop()
		wantBarred(t, other, 4433, false)
	})
}

// TestAutobind: a port that the kernel chose is seen too, should somebody have
// taken it out of the list of those that it does not choose.
func TestAutobind(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(enforced(udp(4433, 1)))
		b.create(enforced(tcp(4433, 1)))
		b.apply()
		writeSysctl(t, "/proc/sys/net/ipv4/ip_local_port_range", "4433 4433")
		p, stop := b.prober()
		defer stop()
		for _, listed := range []bool{true, false} {
			if !listed {
				writeSysctl(t, ephemeralPath, "\n")
			}
			for kind, at := range map[string]string{
				"udp/4": "0.0.0.0:0", "udp/6": "[::]:0", "udp/6only": "[::]:0",
				"tcp/4": "0.0.0.0:0", "tcp/6": "[::]:0", "tcp/6only": "[::]:0",
			} {
				if port, errno := p.bind(t, kind, at, 1, 1); errno != unix.EADDRINUSE {
					t.Errorf("%s, listed %v: a stranger got port %d, errno %d", kind, listed, port, errno)
				}
				port, errno := p.bind(t, kind, at, 1000, 1)
				if listed != (errno == unix.EADDRINUSE) || !listed && port != 4433 {
					t.Errorf("%s, listed %v: the permitted user got port %d, errno %d", kind, listed, port, errno)
				}
			}
		}
	})
}

// TestEnforcementOutlivesItsMaker, and ends with its pins.
func TestEnforcementOutlivesItsMaker(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		p, stop := b.prober()
		defer stop()
		b.create(enforced(udp(4433, 1)))
		wantBarred(t, p, 4433, false)
		cmd := actor(t, "apply and hang", b.words())
		killWhenDone(t, cmd)
		wantBarred(t, p, 4433, true)

		for _, hook := range hooks {
			if err := os.Remove(b.enforcer().pin(hook.name)); err != nil {
				t.Error(err)
			}
		}
		waitUntilFree(t, p, 4433)
		b.apply()
		wantBarred(t, p, 4433, true)

		if err := os.RemoveAll(filepath.Join(b.bpffs, bpfFolder)); err != nil {
			t.Fatal(err)
		}
		waitUntilFree(t, p, 4433)
		b.apply()
		wantBarred(t, p, 4433, true)
	})
}

// waitUntilFree waits until strangers get a port. The kernel lets go of a link
// some time after its pin is removed.
func waitUntilFree(t *testing.T, p *prober, port uint16) {
	t.Helper()
	for deadline := time.Now().Add(patience); !p.may(t, port, 1, 1); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("port %d is still barred", port)
		}
	}
}

// killWhenDone runs an actor until it has written a byte, and kills it.
func killWhenDone(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 1)); n != 1 {
		t.Errorf("the actor said nothing: %v", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
}

// actApplyAndHang applies, says so, and waits to be killed.
func actApplyAndHang(words string) error {
	if err := applyWords(words, func() error { return nil }); err != nil {
		return err
	}
	fmt.Print(".")
	select {}
}

// applyWords applies what four words name: the store, the base of the state
// directories, the cgroup and the BPF file system.
func applyWords(words string, before func() error) error {
	f := strings.Fields(words)
	dir, err := rundir.Open(f[1])
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := before(); err != nil {
		return err
	}
	_, err = Open(f[0]).Apply(dir, ApplyOptions{Cgroup: f[2], BPFFS: f[3]})
	return err
}

func TestEnforcementEnds(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		p, stop := b.prober()
		defer stop()
		web, dns := b.create(enforced(udp(4433, 4))), b.create(enforced(udp(4437, 1)))
		b.apply()
		b.delete(web)
		b.apply()
		wantBarred(t, p, 4433, false)
		wantBarred(t, p, 4436, false)
		wantBarred(t, p, 4437, true)

		// Another one in the place of the first, for another user.
		other := enforced(udp(4434, 1))
		other.UIDs, other.GIDs = []uint32{3000}, nil
		otherToken := b.create(other)
		b.apply()
		if p.may(t, 4434, 1000, 1) || p.may(t, 4434, 1, 2000) || !p.may(t, 4434, 3000, 1) {
			t.Error("the next reservation of a port is for those of the former")
		}
		b.delete(dns)
		b.delete(otherToken)
		if a := b.apply(); len(a.Enforced) != 0 {
			t.Errorf("%+v", a)
		}
		wantBarred(t, p, 4437, false)
		pins, err := os.ReadDir(filepath.Join(b.bpffs, bpfFolder, pinFolder))
		if err != nil || len(pins) != 0 {
			t.Errorf("left: %v, %v", pins, err)
		}
	})
}

// TestNamespacesShareThePrograms: each changes what is its own, and the last one
// takes the programs away.
func TestNamespacesShareThePrograms(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		token := b.create(enforced(udp(4433, 1)))
		b.apply()
		first, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		defer first.Close()
		here, stop := b.prober()
		defer stop()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil { // this thread ends soon
			t.Fatal(err)
		}
		there, stop := b.prober()
		defer stop()
		dir := openState(t, filepath.Dir(b.dir.Path()))
		defer dir.Close()
		second := &sandbox{Open(b.Path() + "2"), t, dir, b.cgroup, b.bpffs}
		secondToken := second.create(enforced(udp(5000, 1)))
		second.apply()
		want := func(port uint16, barredHere, barredThere bool) {
			t.Helper()
			wantBarred(t, here, port, barredHere)
			wantBarred(t, there, port, barredThere)
		}
		want(4433, true, false)
		want(5000, false, true)

		second.delete(secondToken)
		second.apply()
		want(4433, true, false)
		want(5000, false, false)
		secondToken = second.create(enforced(udp(4433, 1)))
		second.apply()
		want(4433, true, true)
		second.delete(secondToken)
		second.apply()
		want(4433, true, false)
		if err := unix.Setns(int(first.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Fatal(err)
		}
		b.delete(token)
		b.apply()
		want(4433, false, false)
		if b.enforcer().pinned("bind4") {
			t.Error("the programs are left")
		}
	})
}

func TestProgramsMoveToAnotherCgroup(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(enforced(udp(4433, 1)))
		b.apply()
		first, stopFirst := b.prober()
		b.cgroup = makeCgroup(t, filepath.Dir(b.cgroup))
		second, stopSecond := b.prober()
		wantBarred(t, first, 4433, true)
		wantBarred(t, second, 4433, false)
		b.apply()
		wantBarred(t, first, 4433, false)
		wantBarred(t, second, 4433, true)
		stopFirst()
		stopSecond()

		// Its cgroup is removed, and made again under the same name.
		removeCgroup(t, b.cgroup)
		if err := os.Mkdir(b.cgroup, 0o755); err != nil {
			t.Fatal(err)
		}
		third, stop := b.prober()
		wantBarred(t, third, 4433, false)
		b.apply()
		wantBarred(t, third, 4433, true)
		stop()
		removeCgroup(t, b.cgroup)
	})
}

// TestApplyPutsNewProgramsIn: what an earlier version left runs on only until a
// later one applies.
func TestApplyPutsNewProgramsIn(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(enforced(udp(4433, 1)))
		b.apply()
		before := b.programs()
		b.apply()
		for i, after := range b.programs() {
			if after.link != before[i].link || after.program == before[i].program {
				t.Errorf("%s: link and program were %v, are %v", hooks[i].name, before[i], after)
			}
		}
	})
}

type attached struct {
	link    link.ID
	program ebpf.ProgramID
}

// programs returns what is attached by the pinned links, by hook.
func (b *sandbox) programs() (all []attached) {
	b.t.Helper()
	for _, hook := range hooks {
		l, err := link.LoadPinnedLink(b.enforcer().pin(hook.name), nil)
		if err != nil {
			b.t.Fatal(err)
		}
		info, err := l.Info()
		l.Close()
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, attached{info.ID, info.Program})
	}
	return all
}

// TestEnforceKilledAtEveryCall kills a process before each system call with
// which it sets up enforcement, or ends it. The next one finishes its work.
func TestEnforceKilledAtEveryCall(t *testing.T) {
	for _, ending := range []bool{false, true} {
		t.Run(fmt.Sprintf("ending %v", ending), func(t *testing.T) {
			inSandbox(t, func(b *sandbox) {
				p, stop := b.prober()
				defer stop()
				prepare := func() {
					b.DeleteRange(udp(4433, 1)) // if it is there
					b.apply()
					token := b.create(enforced(udp(4433, 1)))
					if ending {
						b.apply()
						b.delete(token)
					}
				}
				atEveryCall(t, "apply stopped", b.words(), prepare, func([]int32) {
					if !p.may(t, 4433, 1000, 1) { // whatever is half done
						t.Fatal("the permitted user is refused")
					}
					b.apply()
					wantBarred(t, p, 4433, !ending)
				})
			})
		})
	}
}

// TestTooManyPorts: what does not fit is an error, and fits when there is less.
func TestTooManyPorts(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(enforced(udp(1024, 64000)))
		token := b.create(enforced(tcp(1024, 64000)))
		if _, err := b.Store.Apply(b.dir, b.options()); !errors.Is(err, unix.E2BIG) || !strings.Contains(err.Error(), "too many") {
			t.Errorf("%v", err)
		}
		b.delete(token)
		b.apply()
		p, stop := b.prober()
		defer stop()
		wantBarred(t, p, 1024, true)
		wantBarred(t, p, 65023, true)
		if _, errno := p.bind(t, "tcp/6", "[::]:1024", 1, 1); errno != 0 {
			t.Errorf("TCP: errno %d", errno)
		}
	})
}

// TestEnforceConcurrently: in several network namespaces at once, reservations
// come and go, so that the programs do too.
func TestEnforceConcurrently(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		const workers, turns = 3, 5
		var ends []func()
		for i := range workers {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil { // this thread ends soon
				t.Fatal(err)
			}
			p, stop := b.prober()
			defer stop()
			cmd := actor(t, "apply", fmt.Sprint(b.Path(), i, " ", filepath.Dir(b.dir.Path()), " ", i, " ", turns, " ", b.cgroup, " ", b.bpffs))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ends = append(ends, func() {
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
				for j := range turns {
					wantBarred(t, p, portOf(i, j), j == turns-1)
				}
			})
		}
		for _, end := range ends {
			end()
		}
	})
}

// TestKernelAgreesWithPermits compares the kernel's answers with those of the
// reservations that it was given.
func TestKernelAgreesWithPermits(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		p, stop := b.prober()
		defer stop()
		few := rapid.Uint32Range(1, 4)
		rapid.Check(t, func(t *rapid.T) {
			for _, r := range must(b.List()) {
				b.delete(r.Token)
			}
			for range rapid.IntRange(0, 4).Draw(t, "reservations") {
				ports := Range{drawProto(t), rapid.Uint16Range(2001, 2008).Draw(t, "start"), rapid.Uint16Range(1, 4).Draw(t, "count")}
				r := exclusive(ports)
				r.UIDs = rapid.SliceOfN(few, 1, 3).Draw(t, "uids")
				r.GIDs = rapid.SliceOfN(few, 0, 3).Draw(t, "gids")
				r.Enforce = rapid.Bool().Draw(t, "enforce")
				b.Create(r) // unless it overlaps
			}
			b.apply()
			for range 5 {
				proto, port := drawProto(t), rapid.Uint16Range(2001, 2012).Draw(t, "port")
				uid, gid := few.Draw(t, "uid"), few.Draw(t, "gid")
				r := must(b.Find(proto, port))
				want := unix.Errno(0)
				if r != nil && r.Enforce && !r.Permits(uid, []uint32{gid}) {
					want = unix.EADDRINUSE
				}
				if _, errno := p.bind(b.t, proto.String()+"/6", fmt.Sprintf("[::]:%d", port), int(uid), int(gid)); errno != want {
					t.Fatalf("%v %d as %d:%d: errno %d, want %d by %+v", proto, port, uid, gid, errno, want, r)
				}
			}
		})
	})
}
