// SPDX-License-Identifier: MIT

package xdp

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/deny"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// pauperEnv makes the test program open an engine with what it is left: it holds a lack.
const pauperEnv = "XDP_TEST_PAUPER"

// lack is what a process has not got.
type lack struct {
	Denied      []deny.Call
	Memlock     int  // RLIMIT_MEMLOCK in bytes; -1: as it is
	Descriptors bool // at every descriptor that it needs, it gets none
}

// lacking is what it says of itself.
type lacking struct {
	Err    string // why there is no engine
	Why    string // why no interface is served
	Served bool
	Tries  int // with so many descriptors
	Leaked int // descriptors
}

func pauperMain() {
	var l lack
	err := json.Unmarshal([]byte(os.Getenv(pauperEnv)), &l)
	if err == nil && l.Memlock >= 0 {
		err = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: uint64(l.Memlock), Max: uint64(l.Memlock)})
	}
	if err == nil && len(l.Denied) > 0 {
		err = deny.Install(l.Denied...)
	}
	if err == nil {
		err = netnstest.StartPoller()
	}
	var s lacking
	switch {
	case err != nil:
		s.Err = "test: " + err.Error()
	case l.Descriptors:
		s = scrape()
	default:
		s = attempt()
	}
	_ = json.NewEncoder(os.Stdout).Encode(s)
}

// attempt opens an engine, and closes it.
func attempt() (s lacking) {
	before, _ := netnstest.OpenFDs()
	e, err := Open(Options{})
	if err != nil {
		s.Err = err.Error()
	} else {
		if why := e.Why(); why != nil {
			s.Why = why.Error()
		}
		s.Served = e.Next() != nil
		e.Close()
	}
	after, _ := netnstest.OpenFDs()
	s.Leaked = len(after) - len(before)
	return s
}

// scrape opens engines with a limit of one descriptor more each time, until it is served.
func scrape() (s lacking) {
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	for tries := 3; tries < 300; tries++ {
		before, _ := netnstest.OpenFDs()
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(tries), Max: limit.Max})
		e, err := Open(Options{})
		if err == nil {
			s.Served = e.Next() != nil
			err = e.Why()
		}
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
		if e != nil {
			if !s.Served && tries%8 == 0 && !recovers(e) {
				s.Err = fmt.Sprintf("opened with %d descriptors, and then there were more: %v", tries, e.Why())
				return s
			}
			e.Close()
		}
		after, _ := netnstest.OpenFDs()
		s.Tries, s.Leaked = tries, s.Leaked+max(len(after)-len(before), 0)
		if err == nil && s.Served {
			return s
		}
		if err == nil || !errors.Is(err, unix.EMFILE) && !strings.Contains(err.Error(), "too many open files") {
			s.Err = fmt.Sprintf("with %d descriptors: %v", tries, err)
			return s
		}
	}
	return s
}

// recovers reports whether an engine that lacked descriptors serves by itself when there are enough.
func recovers(e *Engine) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if e.Next() != nil {
			return true
		}
	}
	return false
}

// poor is a network namespace with an interface, for processes that lack something.
type poor struct {
	*testing.T
	near, far netnstest.End
	base      string
}

func newPoor(t *testing.T) *poor {
	t.Helper()
	netnstest.CheckFDs(t)
	p := &poor{
		T:    t,
		near: netnstest.End{NS: netnstest.New(t), Name: "eth0", Addrs: netnstest.Prefixes("10.8.0.1/24")},
		far:  netnstest.End{NS: netnstest.New(t), Name: "far", Addrs: netnstest.Prefixes("10.8.0.2/24")},
		base: t.TempDir(),
	}
	netnstest.Veth(t, &p.near, &p.far)
	for dir := p.base; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// try lets a process with these capabilities open an engine; nil: as root.
func (p *poor) try(l lack, capabilities []uintptr) (s lacking) {
	p.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		p.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), pauperEnv+"="+string(text), rundir.Env+"="+p.base)
	cmd.Stderr = os.Stderr
	if capabilities != nil {
		cmd.Env = append(cmd.Env, rundir.Env+"="+p.base+"/nobody")
		if err := os.MkdirAll(p.base+"/nobody", 0o700); err != nil {
			p.Fatal(err)
		}
		if err := os.Chown(p.base+"/nobody", nobodyUID, nobodyUID); err != nil {
			p.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: nobodyUID, Gid: nobodyUID},
			AmbientCaps: capabilities,
		}
	}
	var out []byte
	p.near.NS.Do(p, func() (err error) {
		out, err = cmd.Output()
		return err
	})
	if err := json.Unmarshal(out, &s); err != nil {
		p.Fatalf("%v: %q", err, out)
	}
	if s.Leaked > 0 {
		p.Errorf("%d descriptors are leaked", s.Leaked)
	}
	return s
}

// Which capabilities it takes: these, all of them, and no other. CAP_IPC_LOCK only where the limit of locked
// memory is low.
func TestTheCapabilitiesThatItTakes(t *testing.T) {
	p := newPoor(t)
	needed := map[string]uintptr{
		"CAP_NET_RAW": unix.CAP_NET_RAW, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_BPF": unix.CAP_BPF, "CAP_PERFMON": unix.CAP_PERFMON,
	}
	all := func(without string) (list []uintptr) {
		for name, c := range needed {
			if name != without {
				list = append(list, c)
			}
		}
		return list
	}
	enough := lack{Memlock: 8 << 20}
	if s := p.try(enough, all("")); !s.Served {
		t.Errorf("with all: %+v", s)
	}
	for name := range needed {
		s := p.try(enough, all(name))
		if s.Served || !strings.Contains(s.Err+s.Why, name) {
			t.Errorf("without %s: %+v", name, s)
		}
	}
	s := p.try(lack{Memlock: 0}, all(""))
	if s.Served || !strings.Contains(s.Err+s.Why, "RLIMIT_MEMLOCK") {
		t.Errorf("without memory to lock: %+v", s)
	}
	if s := p.try(lack{Memlock: 0}, append(all(""), unix.CAP_IPC_LOCK)); !s.Served {
		t.Errorf("without memory to lock, with CAP_IPC_LOCK: %+v", s)
	}
	if s := p.try(enough, []uintptr{}); s.Served || !strings.Contains(s.Err+s.Why, "CAP_") {
		t.Errorf("with none: %+v", s)
	}
}

// A kernel without something, or a container that forbids it: AF_XDP goes on without, or says what is missing.
func TestFeaturesThatAreMissing(t *testing.T) {
	p := newPoor(t)
	option := func(number uint32) map[int]uint32 { return map[int]uint32{1: unix.SOL_XDP, 2: number} }
	for name, test := range map[string]struct {
		deny.Call
		says string // "": it is served all the same
	}{
		"AF_XDP":                {deny.Call{Number: unix.SYS_SOCKET, Errno: unix.EAFNOSUPPORT, Args: map[int]uint32{0: unix.AF_XDP}}, "AF_XDP"},
		"netlink":               {deny.Call{Number: unix.SYS_SOCKET, Errno: unix.EAFNOSUPPORT, Args: map[int]uint32{0: unix.AF_NETLINK}}, "NETLINK_ROUTE"},
		"bpf":                   {deny.Call{Number: unix.SYS_BPF, Errno: unix.ENOSYS}, "function not implemented"},
		"bpf, forbidden":        {deny.Call{Number: unix.SYS_BPF, Errno: unix.EPERM}, "CAP_BPF"},
		"bpf links":             {deny.Call{Number: unix.SYS_BPF, Errno: unix.EINVAL, Args: map[int]uint32{0: unix.BPF_LINK_CREATE}}, "BPF_LINK_CREATE"},
		"XDP_UMEM_REG":          {deny.Call{Number: unix.SYS_SETSOCKOPT, Errno: unix.ENOPROTOOPT, Args: option(unix.XDP_UMEM_REG)}, "XDP_UMEM_REG"},
		"XDP_RX_RING":           {deny.Call{Number: unix.SYS_SETSOCKOPT, Errno: unix.ENOPROTOOPT, Args: option(unix.XDP_RX_RING)}, "setsockopt(ring 2"},
		"XDP_TX_RING":           {deny.Call{Number: unix.SYS_SETSOCKOPT, Errno: unix.ENOPROTOOPT, Args: option(unix.XDP_TX_RING)}, "setsockopt(ring 3"},
		"XDP_UMEM_FILL_RING":    {deny.Call{Number: unix.SYS_SETSOCKOPT, Errno: unix.ENOPROTOOPT, Args: option(unix.XDP_UMEM_FILL_RING)}, "setsockopt(ring 5"},
		"XDP_MMAP_OFFSETS":      {deny.Call{Number: unix.SYS_GETSOCKOPT, Errno: unix.ENOPROTOOPT, Args: option(unix.XDP_MMAP_OFFSETS)}, "XDP_MMAP_OFFSETS"},
		"XDP_MAX_TX_SKB_BUDGET": {deny.Call{Number: unix.SYS_SETSOCKOPT, Errno: unix.ENOPROTOOPT, Args: option(unix.XDP_MAX_TX_SKB_BUDGET)}, ""},
		"membarrier":            {deny.Call{Number: unix.SYS_MEMBARRIER, Errno: unix.ENOSYS}, ""},
		"memfd_create":          {deny.Call{Number: unix.SYS_MEMFD_CREATE, Errno: unix.ENOSYS}, "memfd_create"},
	} {
		t.Run(name, func(t *testing.T) {
			p.T = t
			s := p.try(lack{Memlock: -1, Denied: []deny.Call{test.Call}}, nil)
			if s.Served != (test.says == "") || !strings.Contains(s.Err+s.Why, test.says) {
				t.Errorf("%+v, want %q", s, test.says)
			}
		})
	}
}

// At every descriptor that cannot be had the engine says so, leaks none, and serves as soon as there are enough: the first
// of a queue, and one that joins another.
func TestDescriptorsThatAreMissing(t *testing.T) {
	p := newPoor(t)
	scrape := func() {
		s := p.try(lack{Memlock: -1, Descriptors: true}, nil)
		if !s.Served || s.Err != "" || s.Tries < 20 {
			t.Errorf("%+v", s)
		}
		t.Logf("served with a limit of %d descriptors", s.Tries)
	}
	scrape()
	t.Setenv(rundir.Env, p.base)
	var other *Engine
	p.near.NS.Do(t, func() (err error) {
		other, err = Open(Options{})
		return err
	})
	defer other.Close()
	if why := other.Why(); why != nil {
		t.Fatal(why)
	}
	scrape()
}
