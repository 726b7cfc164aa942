// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
	"github.com/msquicxdp/msquicxdp/rundir"
	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

// Users that need not exist.
const (
	alice = 61001
	bob   = 61002
)

// testHost is a network namespace with a state directory and a store of reservations.
type testHost struct {
	testing.TB
	ns    *netnstest.NS
	base  string
	store string
}

// newTestHost also checks that the test leaks no descriptor.
func newTestHost(t testing.TB) *testHost {
	t.Helper()
	netnstest.CheckFDs(t)
	dir := rundirtest.TempDir(t)
	return &testHost{t, netnstest.New(t), filepath.Join(dir, "state"), filepath.Join(dir, "lib", "reservations")}
}

// beside is a host that shares all but the network namespace.
func (h *testHost) beside() *testHost {
	h.Helper()
	return &testHost{h.TB, netnstest.New(h), h.base, h.store}
}

func (h *testHost) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// ports runs msquicxdp ports in h's namespace, as root.
func (h *testHost) ports(args ...string) (r result) {
	h.Helper()
	h.ns.Do(h, func() error {
		r = h.portsHere(args...)
		return nil
	})
	return r
}

// portsHere runs it on the calling thread.
func (h *testHost) portsHere(args ...string) result {
	args = append([]string{"ports", "--state-dir", h.base, "--reservations", h.store}, args...)
	return runOn(newHost(), 0, args...)
}

// wantDone fails unless the command succeeded, and returns what it printed.
func (h *testHost) wantDone(r result) string {
	h.Helper()
	if r.status != statusDone {
		h.Fatalf("status %d: %s", r.status, r.errs)
	}
	return r.out
}

func wantWords(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, s := range words {
		if !strings.Contains(text, s) {
			t.Errorf("%q does not say %q", text, s)
		}
	}
}

func listener(port uint16) wish {
	return wish{Proto: "udp", Port: port, Kind: rules.Listener, Program: "plain", Claimed: true, Tier: rules.Owned}
}

func shard(id string) wish {
	return wish{Proto: "udp", Port: 4433, Kind: rules.CIBIR, ID: id, Encoding: "2@9/9", Steering: true,
		Program: "shard-" + id, Claimed: true, Tier: rules.Guarded}
}

func (c *child) pid() string { return strconv.Itoa(c.Process.Pid) }

func TestListOfLivingClaims(t *testing.T) {
	h := newTestHost(t)
	one := h.hold(shard("0a0b"), listener(443))
	two := h.hold(shard("0c0d"))
	list := mustDecode[listing](t, h.wantDone(h.ports("list", "--json"))).Holders
	if len(list) != 3 {
		t.Fatalf("%+v", list)
	}
	for _, got := range list {
		want := holder{Namespace: got.Namespace, Proto: "udp", Port: 443, Kind: "listener", Tier: "owned", Program: "plain", PID: one.Process.Pid, User: "root", Since: got.Since, Version: 1}
		if got.Port == 4433 {
			want = holder{Namespace: got.Namespace, Proto: "udp", Port: 4433, Kind: "cibir", ID: "0a0b", Encoding: "2@9/9", Shared: true, Tier: "guarded", Program: "shard-0a0b", PID: one.Process.Pid, User: "root", Since: got.Since, Version: 1}
			if got.ID == "0c0d" {
				want.ID, want.Program, want.PID = "0c0d", "shard-0c0d", two.Process.Pid
			}
		}
		if got != want || got.Since.IsZero() || got.Namespace == 0 {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	wantWords(t, h.wantDone(h.ports("list")), "udp/443 ", "udp/4433 ", "shard-0a0b", "shard-0c0d", one.pid(), two.pid())

	two.kill()
	if text := h.wantDone(h.ports("list")); strings.Contains(text, "0c0d") || !strings.Contains(text, "0a0b") {
		t.Errorf("after the death of one:\n%s", text)
	}
}

func TestListOfAllNamespaces(t *testing.T) {
	h := newTestHost(t)
	other := h.beside()
	h.hold(listener(443))
	other.hold(listener(443), listener(444))
	list := mustDecode[listing](t, h.wantDone(h.ports("list", "--all-namespaces", "--json"))).Holders
	count := map[uint64]int{}
	for _, one := range list {
		count[one.Namespace]++
	}
	if len(list) != 3 || len(count) != 2 {
		t.Errorf("%+v", list)
	}
	if here := mustDecode[listing](t, h.wantDone(h.ports("list", "--json"))).Holders; len(here) != 1 {
		t.Errorf("%+v", here)
	}
}

func TestListOfForeignSockets(t *testing.T) {
	h := newTestHost(t)
	owned, unguarded := listener(443), listener(444)
	owned.Socket, unguarded.Socket = true, true
	unguarded.Tier = rules.Unguarded
	h.hold(owned, unguarded)
	copycat := h.hold(wish{Port: 444, Socket: true, Comm: "\x1b[31mcopycat"}, wish{Port: 445, Socket: true})
	if text := h.wantDone(h.ports("list")); strings.Contains(text, "foreign") {
		t.Errorf("without being asked:\n%s", text)
	}
	text := h.wantDone(h.ports("list", "--foreign"))
	wantClean(t, text)
	wantWords(t, text, "udp/444  foreign ", "?[31mcopycat", copycat.pid())
	if strings.Count(text, "\n") != 4 {
		t.Errorf("a title, two claims and one foreign socket are wanted:\n%s", text)
	}
}

// The name goes through the file of the port, too.
func TestHostileProgramIsHarmless(t *testing.T) {
	h := newTestHost(t)
	evil := listener(443)
	evil.Program = "\x1b[2J\u202e\u009b\nudp/1 spoofed"
	h.hold(evil)
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"explain", "udp", "443"}, {"explain", "udp", "443", "--json"}} {
		wantClean(t, h.ports(args...).out)
	}
}

func TestUserWithoutRights(t *testing.T) {
	h := newTestHost(t)
	h.hold(listener(443))
	for _, args := range [][]string{{"list"}, {"explain", "udp", "443"}, {"watch"}, {"apply"}} {
		rundirtest.As(t, h.ns, alice, nil, func() {
			r := h.portsHere(args...)
			if r.status != statusFailed {
				t.Errorf("%v: status %d", args, r.status)
			}
			wantWords(t, r.errs, "uid 61001", "run as root")
		})
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var errs strings.Builder
	status := run(&tool{out: full, errs: &errs, machine: somebody()}, []string{"ports", "list"})
	if status != statusFailed || !strings.Contains(errs.String(), unix.ENOSPC.Error()) {
		t.Errorf("status %d, %q", status, errs.String())
	}
}

// A claim of which only the version can be read is shown, and refuses.
func TestClaimOfAnotherVersion(t *testing.T) {
	h := newTestHost(t)
	h.wantDone(h.ports("list")) // makes the state directory
	h.ns.Do(t, func() error {
		dir, err := rundir.Open(h.base)
		if err != nil {
			return err
		}
		defer dir.Close()
		f, err := dir.OpenFile("udp-443")
		if err != nil {
			return err
		}
		h.Cleanup(func() { f.Close() })
		const claimAt, ofVersion = 1 << 61, 1 << 56 // docs/PROTOCOL.md
		_, err = f.TryShare(claimAt+(portres.Version+1)*ofVersion, 1)
		return err
	})
	wantWords(t, h.wantDone(h.ports("list")), "unknown", "(speaks version 2, this is 1)")
	r := h.ports("explain", "udp", "443", "--json")
	e := mustDecode[explanation](t, r.out)
	if r.status != statusRefused || e.Outcome != "refused" || e.Reason != "other-version" || e.Errno != "EADDRINUSE" || len(e.Holders) != 1 {
		t.Errorf("status %d, %s", r.status, r.out)
	}
}
