// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/internal/netnstest"
	"github.com/msquicxdp/msquicxdp/rundir"
	"github.com/msquicxdp/msquicxdp/rundir/rundirtest"
)

// xdpHost is a host with one interface, r0, at the other end of whose wire somebody sends.
type xdpHost struct {
	*testHost
	right netnstest.End
	conn  net.PacketConn // not connected, so that no answer of the host disturbs what is sent
}

func newXDPHost(t *testing.T) *xdpHost {
	t.Helper()
	h := &xdpHost{testHost: newTestHost(t)}
	left := netnstest.End{NS: netnstest.New(t), Name: "l0", Addrs: netnstest.Prefixes("10.0.0.1/24")}
	h.right = netnstest.End{NS: h.ns, Name: "r0", Addrs: netnstest.Prefixes("10.0.0.2/24")}
	netnstest.Veth(t, &left, &h.right)
	left.NS.Do(t, func() (err error) {
		h.conn, err = net.ListenPacket("udp4", "10.0.0.1:0")
		return err
	})
	t.Cleanup(func() { h.conn.Close() })
	return h
}

// member starts a process that uses AF_XDP, or would like to.
func (h *xdpHost) member(w memberWish) *child {
	h.Helper()
	w.Ifindex = h.right.Index
	wish, err := json.Marshal(w)
	h.must(err)
	c := h.start("member", h.base, string(wish))
	if line := c.line(h); line != "ready" {
		h.Fatal(line)
	}
	return c
}

func (h *xdpHost) shard(id string) *child {
	h.Helper()
	return h.member(memberWish{Port: 4433, ID: id, Program: "shard-" + id})
}

// received asks a member how many packets have come.
func (c *child) received(t testing.TB) int {
	t.Helper()
	fmt.Fprintln(c.in)
	n, err := strconv.Atoi(c.line(t))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var server = net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.2:4433"))

// send sends n datagrams with an identifier, not faster than any ring can take.
func (h *xdpHost) send(id string, n int) {
	h.Helper()
	d := datagram(mustID(id))
	for range n {
		_, err := h.conn.WriteTo(d, server)
		h.must(err)
	}
}

// await waits until a member has received n packets.
func (h *xdpHost) await(c *child, n int) {
	h.Helper()
	for deadline := time.Now().Add(10 * time.Second); c.received(h) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			h.Fatalf("%d packets of %d came", c.received(h), n)
		}
	}
}

// status runs msquicxdp status in h's namespace, as root.
func (h *xdpHost) status(args ...string) (r result) {
	h.Helper()
	h.ns.Do(h, func() error {
		r = h.statusHere(args...)
		return nil
	})
	return r
}

func (h *xdpHost) statusHere(args ...string) result {
	return runOn(newHost(), 0, append([]string{"status", "--state-dir", h.base}, args...)...)
}

// statusJSON wants the exit status that belongs to what is printed.
func (h *xdpHost) statusJSON(args ...string) status {
	h.Helper()
	r := h.status(append(args, "--json")...)
	s := mustDecode[status](h.TB.(*testing.T), r.out)
	if want := map[bool]int{true: statusDone, false: statusRefused}[s.InUse]; r.status != want || r.errs != "" {
		h.Errorf("status %d, want %d, %q", r.status, want, r.errs)
	}
	return s
}

// stable replaces what differs from one run to the next, leaves out what hosts tell each other by
// themselves, and sorts the rows of tables.
func stable(text string, processes ...*child) string {
	replace := func(pattern, with string) { text = regexp.MustCompile(pattern).ReplaceAllString(text, with) }
	replace(` +`, " ")
	replace(`copy 9216 \d+ \d+ \d+ 4096 \d+`, "copy 9216 FILL RINGS MISSING 4096 FLIGHT")
	for n, c := range processes {
		replace(`(?m)(^|slot | )\d+ `+c.pid()+` `, fmt.Sprintf("${1}SLOT PID-%c ", 'A'+n))
	}
	replace(`number \d+`, "number N")
	replace(`root \d+[sm] `, "root AGE ")
	replace(`(?m)^r0 \d+ to the kernel: (not|IPv6|no rule|no local|IP fragment).*\n`, "")
	blocks := strings.Split(text, "\n\n")
	for i, b := range blocks[1:] {
		rows := strings.Split(strings.TrimSuffix(b, "\n"), "\n")
		slices.Sort(rows[1:])
		blocks[i+1] = strings.Join(rows, "\n")
	}
	return strings.Join(blocks, "\n\n") + "\n"
}

// Two processes on one queue: what is seen while both run, while one is stopped, and when
// it has been killed; and that nobody notices who looks.
func TestStatusOfMembers(t *testing.T) {
	h := newXDPHost(t)
	a, b := h.shard("0a0b"), h.shard("0c0d")
	h.send("0a0b", 1) // which finds the neighbour
	h.await(a, 1)
	h.send("0a0b", 99)
	h.send("0c0d", 50)
	h.send("0e0f", 7) // nobody's
	h.await(a, 100)
	h.await(b, 50)
	s := h.statusJSON()
	wantMembers(t, s, a, b)
	if len(s.Queues) != 1 || s.Queues[0].Members != 2 || s.Queues[0].Fill+s.Queues[0].Rings+s.Queues[0].Missing != s.Queues[0].Frames || s.Queues[0].Missing > 1 {
		t.Errorf("%+v", s.Queues)
	}
	for _, r := range s.Rules {
		want := map[string]statusRule{
			"0a0b": {PID: a.Process.Pid, Packets: 100}, "0c0d": {PID: b.Process.Pid, Packets: 50},
		}[r.ID]
		if r.PID != want.PID || r.Packets != want.Packets || r.Port != 4433 || !r.Shared {
			t.Errorf("%+v", r)
		}
	}
	for _, p := range s.Packets {
		if want, ok := map[string]uint64{"redirected": 150, "unknown identifier": 7, "too long": 0}[p.Reason]; ok && p.Packets != want {
			t.Errorf("%+v", p)
		}
	}
	if len(s.KernelOnly) != 0 || len(s.Hidden) != 0 || len(s.Warnings) != 0 {
		t.Errorf("%+v", s)
	}
	wantGolden(t, "status-live", stable(h.wantDone(h.status()), a, b))

	// The witness: all packets come, while somebody looks all the time.
	for n := range 20 {
		h.send("0a0b", 50)
		h.status()
		h.await(a, 100+50*(n+1))
	}
	s = h.statusJSON()
	for _, k := range s.Sockets {
		if k.RXRingFull+k.RXDropped+k.FillEmpty != 0 {
			t.Errorf("lost: %+v", k)
		}
	}

	h.must(b.Process.Signal(unix.SIGSTOP))
	var stopped unix.WaitStatus
	_, err := unix.Wait4(b.Process.Pid, &stopped, unix.WUNTRACED, nil)
	h.must(err)
	h.send("0c0d", 600) // of which its ring takes 512
	s = h.statusJSON()
	if !s.InUse || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "(pid "+b.pid()+"): it does not answer") {
		t.Errorf("%+v", s.Warnings)
	}
	wantMembers(t, s, a, b)
	for _, k := range s.Sockets {
		if stopped := k.PID == b.Process.Pid; k.RXRingFull != map[bool]uint64{true: 88}[stopped] || stopped && k.Ring != 512 {
			t.Errorf("%+v", k)
		}
	}
	b.kill()
	for deadline := time.Now().Add(10 * time.Second); len(h.statusJSON().Sockets) != 1; {
		if time.Now().After(deadline) {
			t.Fatal("the dead member stays")
		}
	}
	s = h.statusJSON()
	wantMembers(t, s, a)
	if s.Queues[0].Missing > 1 {
		t.Errorf("%+v", s.Queues)
	}
}

// wantMembers wants these processes to be seen at queue 0 of r0.
func wantMembers(t *testing.T, s status, processes ...*child) {
	t.Helper()
	var want, got []int
	for _, c := range processes {
		want = append(want, c.Process.Pid)
	}
	for _, m := range s.Members {
		got = append(got, m.PID)
		if len(m.Serves) != 1 || m.Serves[0] != "r0/0" || m.User != "root" || m.Program == "" || time.Since(m.Started) > time.Hour {
			t.Errorf("%+v", m)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(s.Sockets) != len(want) {
		t.Errorf("members %v, want %v", got, want)
	}
}

func TestStatusOfGenericMode(t *testing.T) {
	h := newXDPHost(t)
	h.member(memberWish{Port: 4433, Mode: classifier.Generic, Program: "server"})
	text := h.wantDone(h.status("--interface", "r0"))
	wantWords(t, text, "XDP is in use on r0 (generic, copy, 1 of 1 queues), by 1 member.\n", "exclusive")
}

// When the last member has gone, however it went, the program goes too, whoever has looked.
func TestStatusKeepsNothing(t *testing.T) {
	h := newXDPHost(t)
	if s := h.statusJSON(); s.InUse || !strings.Contains(s.Verdict, "no process asks for it") {
		t.Errorf("%+v", s)
	}
	if _, err := os.Stat(h.base); err == nil {
		t.Error("it created the state directory")
	}
	c := h.member(memberWish{Port: 4433, Program: "server"})
	names := func() []string {
		t.Helper()
		dirs, err := rundir.All(h.base)
		if err != nil || len(dirs) != 1 {
			t.Fatal(err, dirs)
		}
		defer dirs[0].Close()
		list, err := dirs[0].Names()
		h.must(err)
		return list
	}
	before := names()
	s := h.statusJSON()
	if after := names(); !slices.Equal(before, after) || !s.InUse {
		t.Errorf("%v became %v", before, after)
	}
	c.kill()
	for deadline := time.Now().Add(10 * time.Second); h.statusJSON("--interface", "r0").Interfaces[0].Program != 0; {
		if time.Now().After(deadline) {
			t.Fatal("the program stays")
		}
	}
	if s := h.statusJSON(); s.InUse || len(s.Members)+len(s.Queues)+len(s.KernelOnly)+len(s.Rules) != 0 {
		t.Errorf("%+v", s)
	}
}

// A program that somebody else has put there is named, and so is who would have liked the interface.
func TestStatusOfForeignProgram(t *testing.T) {
	h := newXDPHost(t)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "guardian", Type: ebpf.XDP, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	h.must(err)
	defer p.Close()
	h.ns.Do(t, func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: h.right.Index, Flags: link.XDPGenericMode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	c := h.member(memberWish{Port: 4433, Program: "server"})
	s := h.statusJSON()
	wantWords(t, s.Verdict, "XDP is not in use: server (pid "+c.pid()+"): interface r0: ", "another XDP program", "guardian")
	i := s.Interfaces[slices.IndexFunc(s.Interfaces, func(i statusInterface) bool { return i.Name == "r0" })]
	if i.ProgramName != "guardian" || i.Ours || i.InUse || i.Mode != "generic" {
		t.Errorf("%+v", i)
	}
	if len(s.KernelOnly) != 1 || !s.KernelOnly[0].Asked || !strings.Contains(s.KernelOnly[0].Why, "guardian") {
		t.Errorf("%+v", s.KernelOnly)
	}
	wantWords(t, h.status().out, "foreign, number ", ", guardian\n")
}

// Who is not root hears what cannot be seen.
func TestStatusForUserWithoutRights(t *testing.T) {
	h := newXDPHost(t)
	h.member(memberWish{Port: 4433, Program: "server"})
	rundirtest.As(t, h.ns, alice, nil, func() {
		r := h.statusHere()
		if r.status != statusRefused || r.errs != "" {
			t.Errorf("status %d, %q", r.status, r.errs)
		}
		wantWords(t, r.out, "as far as can be seen: processes: ", "run as root", "cannot be seen: the XDP program of r0", "CAP_SYS_ADMIN")
	})
}
