// SPDX-License-Identifier: MIT

package netnstest

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/internal/netns"
)

func TestNewHasOnlyLoopbackUp(t *testing.T) {
	CheckFDs(t)
	ns := New(t)
	ns.Do(t, func() error {
		links, err := net.Interfaces()
		if err != nil {
			return err
		}
		if len(links) != 1 || links[0].Flags&net.FlagLoopback == 0 || links[0].Flags&net.FlagUp == 0 {
			t.Errorf("interfaces are %+v, want only lo, up", links)
		}
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}

// Many more turns than there are threads: one that came back to the pool
// inside a namespace would be met again.
func TestThreadsAreThrownAway(t *testing.T) {
	CheckFDs(t)
	Require(t)
	home, err := netns.InodeOf(netns.Thread)
	if err != nil {
		t.Fatal(err)
	}
	ns := New(t)
	if ns.held.Inode() == home {
		t.Fatal("New returned the host's namespace")
	}
	for range 50 {
		ns.Do(t, func() error { return wantInode(ns.held.Inode()) })
		inGoroutine(func() {
			if err := wantInode(home); err != nil {
				t.Error(err)
			}
		})
	}
	if main, err := netns.InodeOf("/proc/self/ns/net"); err != nil || main != home {
		t.Errorf("first thread is in namespace %d (%v), want %d", main, err, home)
	}
}

func wantInode(want uint64) error {
	got, err := netns.InodeOf(netns.Thread)
	if err == nil && got != want {
		err = errors.New("thread is in the wrong namespace")
	}
	return err
}

func TestDoPassesOnHowTheTestEnds(t *testing.T) {
	ns := New(t)
	for _, test := range []struct {
		name            string
		f               func(fake *fakeTB) error
		failed, skipped bool
		log             string
	}{
		{name: "success", f: func(*fakeTB) error { return nil }},
		{name: "error", f: func(*fakeTB) error { return errors.New("broken") }, failed: true, log: "broken"},
		{name: "fatal", f: func(fake *fakeTB) error { fake.Fatal("gave up"); return nil }, failed: true, log: "gave up"},
		{name: "skip", f: func(fake *fakeTB) error { fake.Skip("not here"); return nil }, skipped: true, log: "not here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake, returned := observe(func(fake *fakeTB) {
				ns.Do(fake, func() error { return test.f(fake) })
			})
			if fake.failed != test.failed || fake.skipped != test.skipped || fake.log != test.log {
				t.Errorf("failed %v, skipped %v, log %q", fake.failed, fake.skipped, fake.log)
			}
			if want := !test.failed && !test.skipped; returned != want {
				t.Errorf("Do returned: %v, want %v", returned, want)
			}
		})
	}
}

func TestDoAfterTheEndIsRefused(t *testing.T) {
	Require(t)
	var ns *NS
	observe(func(fake *fakeTB) { ns = New(fake) })
	fake, _ := observe(func(fake *fakeTB) {
		ns.Do(fake, func() error { fake.log += "ran"; return nil })
	})
	if !fake.failed || strings.Contains(fake.log, "ran") {
		t.Errorf("failed %v, log %q", fake.failed, fake.log)
	}
}

func TestRun(t *testing.T) {
	CheckFDs(t)
	ns := New(t)
	if out := ns.Run(t, "ip", "-brief", "link"); strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "lo ") {
		t.Errorf("interfaces seen by a command:\n%s", out)
	}
	fake, _ := observe(func(fake *fakeTB) { ns.Run(fake, "ip", "link", "show", "absent") })
	if !fake.failed || !strings.Contains(fake.log, "absent") {
		t.Errorf("failed %v, log %q", fake.failed, fake.log)
	}
}

func TestSysctl(t *testing.T) {
	ns, other := New(t), New(t)
	const key = "net/ipv4/ip_default_ttl"
	ns.Sysctl(t, key, "77")
	if got := ns.Run(t, "cat", "/proc/sys/"+key); got != "77\n" {
		t.Errorf("ttl is %q", got)
	}
	if got := other.Run(t, "cat", "/proc/sys/"+key); got == "77\n" {
		t.Error("the setting reached another namespace")
	}
	for _, key := range []string{"kernel/hostname", "net/../kernel/hostname"} {
		if fake, _ := observe(func(fake *fakeTB) { ns.Sysctl(fake, key, "oops") }); !fake.failed {
			t.Errorf("%s was taken", key)
		}
	}
}
