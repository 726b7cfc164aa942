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

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres/rules"
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

func TestForSaysWhatTheKernelDoes(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		r := shared(udp(4433, 8))
		token := b.create(r)
		b.create(exclusive(tcp(4433, 1)))
		find := func(proto rules.Proto, port uint16, uid uint32, gids ...uint32) *rules.Reservation {
			t.Helper()
			got, err := b.ruleFor(b.enforcer(), proto, port, uid, gids)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := find(rules.UDP, 4432, 0); got != nil {
			t.Errorf("a port that is not reserved: %+v", got)
		}
		want := rules.Reservation{Token: token.String(), Name: r.Name, Encoding: r.Encoding, Permitted: true}
		if got := find(rules.UDP, 4440, 1001); *got != want {
			t.Errorf("before Apply: %+v, want %+v", got, want)
		}
		b.apply()
		want.Enforced = true
		if got := find(rules.UDP, 4440, 77, 5, 4294967294); *got != want {
			t.Errorf("after Apply: %+v, want %+v", got, want)
		}
		want.Permitted = false
		if got := find(rules.UDP, 4440, 77, 5); *got != want {
			t.Errorf("to a stranger: %+v, want %+v", got, want)
		}
		if got := find(rules.TCP, 4433, 1000); !got.Exclusive || got.Enforced || !got.Permitted {
			t.Errorf("exclusive: %+v", got)
		}
		os.Remove(b.enforcer().pin("post_bind6"))
		if find(rules.UDP, 4440, 0).Enforced {
			t.Error("enforced with a hook missing")
		}
	})
}

// TestForUnprivileged: who may not look takes the administrator's word.
func TestForUnprivileged(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(enforced(udp(4433, 1)))
		openToAll(t, b.bpffs)
		for _, applied := range []bool{false, true} {
			asUser(t, 1000, func() {
				got, err := b.ruleFor(b.enforcer(), rules.UDP, 4433, 1000, nil)
				if err != nil || got.Enforced != applied {
					t.Errorf("%+v, %v", got, err)
				}
			})
			b.apply()
		}
	})
}

func TestFor(t *testing.T) {
	s := newStore(t)
	t.Setenv(pathVariable, s.Path())
	if r, err := For(rules.UDP, 4433, 0, nil); r != nil || err != nil {
		t.Errorf("without a store: %+v, %v", r, err)
	}
	mustCreate(t, s, exclusive(udp(4433, 1)))
	if r, err := For(rules.UDP, 4433, 1000, nil); err != nil || r == nil || !r.Permitted || r.Enforced {
		t.Errorf("%+v, %v", r, err)
	}
	if err := os.WriteFile(s.Path(), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := For(rules.UDP, 4433, 1000, nil); err == nil || r != nil {
		t.Errorf("damaged: %+v, %v", r, err)
	}
}

func TestCapabilities(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(enforced(udp(4433, 1)))
		for _, test := range []struct {
			has   []int
			works bool
		}{
			{[]int{unix.CAP_NET_ADMIN}, false},
			{[]int{unix.CAP_BPF}, false},
			{[]int{unix.CAP_NET_ADMIN, unix.CAP_BPF}, true},
		} {
			withCapabilities(t, test.has, func() {
				a, err := b.Store.Apply(b.dir, b.options())
				if test.works != (err == nil) || err != nil && (!errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "CAP_BPF and CAP_NET_ADMIN")) {
					t.Errorf("with capabilities %v: %v", test.has, err)
				}
				if a.Excluded != "4433" {
					t.Errorf("with capabilities %v: %+v", test.has, a)
				}
			})
		}
	})
}

// withCapabilities runs f with no other effective capabilities.
func withCapabilities(t *testing.T, has []int, f func()) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3} // of this thread
	var all [2]unix.CapUserData
	if err := unix.Capget(&header, &all[0]); err != nil {
		t.Fatal(err)
	}
	few := all
	few[0].Effective, few[1].Effective = 0, 0
	for _, c := range has {
		few[c/32].Effective |= 1 << (c % 32)
	}
	if err := unix.Capset(&header, &few[0]); err != nil {
		t.Fatal(err)
	}
	defer unix.Capset(&header, &all[0])
	f()
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

func TestEnforcementUnavailable(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		b.create(enforced(udp(4433, 1)))
		for _, test := range []struct {
			name    string
			options ApplyOptions
			says    string
			errno   unix.Errno
		}{
			{"no BPF file system", ApplyOptions{Cgroup: b.cgroup, BPFFS: filepath.Dir(b.Path())}, "mount -t bpf", unix.ENODEV},
			{"no such directory", ApplyOptions{Cgroup: b.cgroup, BPFFS: "/none"}, "mount -t bpf", unix.ENOENT},
			{"no cgroup", ApplyOptions{Cgroup: filepath.Dir(b.Path()), BPFFS: b.bpffs}, "attach bind4", unix.EBADF},
			{"cgroup is not there", ApplyOptions{Cgroup: "/none", BPFFS: b.bpffs}, "/none", unix.ENOENT},
		} {
			a, err := b.Store.Apply(b.dir, test.options)
			if !errors.Is(err, test.errno) || !strings.Contains(err.Error(), test.says) || len(a.Enforced) != 0 {
				t.Errorf("%s: %+v, %v; want errno %d, %q", test.name, a, err, test.errno, test.says)
			}
			if a.Excluded != "4433" {
				t.Errorf("%s: what can be done was not: %+v", test.name, a)
			}
		}
	})
}

// TestForeignAttachment: a program that somebody attached in the old way, for
// itself alone, keeps ours out. It is named, and left alone.
func TestForeignAttachment(t *testing.T) {
	inSandbox(t, func(b *sandbox) {
		var programs bpf.BindPrograms
		if err := bpf.LoadBindObjects(&programs, &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: b.bpffs}}); err != nil {
			t.Fatal(err)
		}
		defer programs.Close()
		cgroup, err := os.Open(b.cgroup)
		if err != nil {
			t.Fatal(err)
		}
		defer cgroup.Close()
		foreign := link.RawAttachProgramOptions{Target: int(cgroup.Fd()), Program: programs.MsquicxdpBind6, Attach: ebpf.AttachCGroupInet6Bind}
		if err := link.RawAttachProgram(foreign); err != nil {
			t.Fatal(err)
		}
		b.create(enforced(udp(4433, 1)))
		_, err = b.Store.Apply(b.dir, b.options())
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "bpftool cgroup show "+b.cgroup) {
			t.Errorf("%v", err)
		}
		if err := link.RawDetachProgram(link.RawDetachProgramOptions{Target: foreign.Target, Program: foreign.Program, Attach: foreign.Attach}); err != nil {
			t.Errorf("the foreign program: %v", err)
		}
		b.apply()
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

func TestFindCgroupTop(t *testing.T) {
	for _, test := range []struct {
		name, mounts, want string
	}{
		{"none", "22 1 0:5 / /proc rw - proc proc rw\n", ""},
		{"unified", "22 1 0:5 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup"},
		{"part of it", "30 23 0:26 /a /mnt rw - cgroup2 none rw\n31 23 0:26 / /top rw - cgroup2 none rw\n", "/top"},
		{"above the namespace", "30 23 0:26 /.. /mnt rw - cgroup2 none rw\n", ""},
		{"blank in the path", `30 23 0:26 / /a\040b\134 rw - cgroup2 none rw` + "\n", `/a b\`},
		{"version 1", "30 23 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw\n", ""},
		{"cut short", "30 23 - cgroup2", ""},
	} {
		if got, ok := findCgroupTop(test.mounts); got != test.want || ok != (test.want != "") {
			t.Errorf("%s: %q, %v", test.name, got, ok)
		}
	}
	netnstest.Require(t)
	inSandbox(t, func(b *sandbox) {
		top, err := cgroupTop()
		var st, child unix.Statfs_t
		if err != nil || unix.Statfs(top, &st) != nil || unix.Statfs(b.cgroup, &child) != nil || st.Type != child.Type {
			t.Errorf("%q, %v", top, err)
		}
	})
}
