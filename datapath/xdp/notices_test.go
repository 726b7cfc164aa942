// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	xdplink "github.com/cilium/ebpf/link"

	"github.com/msquicxdp/msquicxdp/datapath/notice"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
)

// notices reads what is posted in a namespace.
func notices(t *testing.T, ns *netnstest.NS) (list []notice.Notice) {
	t.Helper()
	ns.Do(t, func() error {
		dir, err := rundir.Open("")
		if err != nil {
			return err
		}
		defer dir.Close()
		list, err = notice.List(dir)
		return err
	})
	return list
}

// An engine says what it serves, and why not more, as that changes; and nothing any more when it
// is closed.
func TestEngineIsNoticed(t *testing.T) {
	netnstest.CheckFDs(t)
	t.Setenv(rundir.Env, t.TempDir())
	near := netnstest.End{NS: netnstest.New(t), Name: "eth0", Addrs: netnstest.Prefixes("10.0.0.1/24")}
	far := netnstest.End{NS: netnstest.New(t), Name: "far", Addrs: netnstest.Prefixes("10.0.0.2/24")}
	netnstest.Veth(t, &near, &far)
	var e *Engine
	var foreign xdplink.Link
	near.NS.Do(t, func() error {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "foreign", Type: ebpf.XDP, License: "MIT",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
		if err != nil {
			return err
		}
		defer p.Close()
		if foreign, err = xdplink.AttachXDP(xdplink.XDPOptions{Program: p, Interface: near.Index}); err != nil {
			return err
		}
		e, err = Open(Options{})
		return err
	})
	got := notices(t, near.NS)
	if len(got) != 1 || got[0].PID != os.Getpid() || got[0].Program == "" || got[0].Since.IsZero() || len(got[0].Served) != 0 ||
		len(got[0].Reasons) != 1 || !strings.Contains(got[0].Reasons[0], "interface eth0: ") || !strings.Contains(got[0].Reasons[0], "foreign") {
		t.Errorf("beside a foreign program: %+v", got)
	}
	foreign.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got = notices(t, near.NS)
		if len(got) == 1 && slices.Equal(got[0].Served, []string{"eth0"}) && len(got[0].Reasons) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("when the foreign program has gone: %+v", got)
		}
	}
	c := Count([]*Engine{e, e})
	if c.Sockets.RXRingFull != 0 || c.Packets[0] != 0 {
		t.Errorf("%+v", c)
	}
	e.Close()
	if got := notices(t, near.NS); len(got) != 0 {
		t.Errorf("after the engine: %+v", got)
	}
}

// Where there is no engine at all, that is said too.
func TestRefusalIsNoticed(t *testing.T) {
	netnstest.CheckFDs(t)
	t.Setenv(rundir.Env, t.TempDir())
	ns := netnstest.New(t)
	var r *Refusal
	ns.Do(t, func() error {
		r = Refuse(errors.New("no rights\nnone at all"))
		return nil
	})
	r.Again(errors.New("no luck"))
	if got := notices(t, ns); len(got) != 1 || len(got[0].Served) != 0 || !slices.Equal(got[0].Reasons, []string{"no luck"}) {
		t.Errorf("%+v", got)
	}
	r.Withdraw()
	if got := notices(t, ns); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	t.Setenv(rundir.Env, "/proc/no/such/place")
	if r := Refuse(errors.New("no luck")); r != nil {
		t.Error("posted nowhere")
	}
}
