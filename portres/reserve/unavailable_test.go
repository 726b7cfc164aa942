// SPDX-License-Identifier: MIT

package reserve

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/bpf"
)

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
