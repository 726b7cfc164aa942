// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/inspect"
	"github.com/msquicxdp/msquicxdp/datapath/notice"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// busy is a host with one of everything: two members on two of three queues, one of
// them stopped, a foreign program, and ports with and without XDP.
func busy() *inspect.Report {
	at := func(slot, pid int, program string, err error) inspect.Member {
		return inspect.Member{Observed: pool.Observed{Peer: pool.Peer{Slot: uint32(slot), PID: pid}, UID: 61001, Err: err},
			Program: program, Started: time.Date(2026, time.November, 23, 17, 18, 0, 0, time.UTC)}
	}
	counters := classifier.Counters{classifier.Redirected: 1203344, classifier.NoPort: 117, classifier.TooLong: 3}
	account := func(seats ...int) *pool.Account {
		a := &pool.Account{By: 17, Most: 16, Census: pool.Census{Receive: 9216, Fill: 8951, Missing: 1, Send: 4096}}
		for n, slot := range seats {
			ring := 264 * n
			a.Census.Ring += ring
			a.Census.InFlight += 12
			a.Census.Seats = append(a.Census.Seats, pool.SeatCensus{Seat: n, Slot: slot, Ring: ring, InFlight: 12, Known: true})
			a.Sockets = append(a.Sockets, pool.SocketAccount{Known: true, Kernel: xsk.Statistics{RXRingFull: uint64(1000 * n)}})
		}
		return a
	}
	kernelOnly := exclusively(9000, rules.Party{Kind: rules.Listener, Process: 990, Program: "plain", UID: 33})
	asked := exclusively(9001, rules.Party{Kind: rules.Listener, Process: 991, Program: "wants-xdp", UID: 33, XDP: true})
	return &inspect.Report{
		Interfaces: []inspect.Interface{
			{Index: 1, Name: "lo", Up: true, Loopback: true},
			{Index: 2, Name: "eth0", Up: true, Queues: 3, Ours: true,
				Occupant: classifier.Occupant{Ifindex: 2, Interface: "eth0", Mode: classifier.Native, Program: 57, Name: "msquicxdp_class"},
				Pools:    []pool.ObservedPool{{Ifindex: 2, Queue: 0, Seats: 2, Account: account(17, 502)}, {Ifindex: 2, Queue: 1, Seats: 1}},
				Rules: &inspect.Rules{
					Ports: []classifier.Port{{Number: 443, Rule: classifier.Exclusive(17)}, {Number: 4433, Rule: classifier.Shared(nine)}, {Number: 4434, Rule: classifier.Shared(nine)}},
					Identifiers: []classifier.Identifier{
						{Port: 4433, ID: mustID("0a0b"), Slot: 17, Redirected: 800}, {Port: 4433, ID: mustID("0c0d"), Slot: 502, Redirected: 900},
					},
					Packets: counters, Slots: map[uint32]uint64{17: 1202444, 502: 900},
				}},
			{Index: 3, Name: "eth1", Up: true, Queues: 1,
				Occupant: classifier.Occupant{Ifindex: 3, Interface: "eth1", Mode: classifier.Generic, Program: 60, Name: "cilium"}},
			{Index: 4, Name: "eth2"},
		},
		Members: []inspect.Member{at(17, 812, "shard-a", nil), at(502, 813, "shard-b", pool.ErrSilent)},
		Notices: []notice.Notice{{PID: 991, Program: "wants-xdp", Reasons: []string{"interface eth1 has another XDP program, number 60, cilium"}}},
		Claims: []portres.Held{
			exclusively(443, rules.Party{Kind: rules.Listener, Process: 812, Program: "shard-a", XDP: true}).Held,
			member(7, "0a0b", rules.Party{Process: 812, Program: "shard-a", XDP: true}).Held,
			member(9, "0e0f", rules.Party{Process: 814, Program: "shard-c"}).Held,
			kernelOnly.Held, asked.Held,
		},
	}
}

// none is a host on which a process has asked for XDP in vain.
func none() *inspect.Report {
	r := busy()
	r.Members = nil
	r.Interfaces = r.Interfaces[2:3]
	r.Claims = r.Claims[4:]
	return r
}

func TestStatusPrints(t *testing.T) {
	for name, test := range map[string]struct {
		report *inspect.Report
		width  int
		args   []string
		status int
	}{
		"status":           {busy(), 100, nil, statusDone},
		"status-interface": {busy(), 0, []string{"--interface", "eth1"}, statusRefused},
		"status-none":      {none(), 100, nil, statusRefused},
		"status-json":      {busy(), 80, []string{"--json"}, statusDone},
	} {
		t.Run(name, func(t *testing.T) {
			r := runOn(&fake{report: test.report}, test.width, append([]string{"status"}, test.args...)...)
			if r.status != test.status || r.errs != "" {
				t.Errorf("status %d, %q", r.status, r.errs)
			}
			wantGolden(t, name, r.out)
			if strings.HasSuffix(name, "-json") {
				if s := mustDecode[status](t, r.out); !s.InUse || len(s.Sockets) != 2 || len(s.Rules) != 4 {
					t.Errorf("%+v", s)
				}
				return
			}
			if test.width > 0 {
				wantWidth(t, r.out, test.width)
			}
			wantClean(t, r.out)
		})
	}
}

// Nothing is not an error: it is the answer.
func TestStatusOfNothing(t *testing.T) {
	r := runOn(&fake{report: &inspect.Report{}}, 80, "status")
	if r != (result{"XDP is not in use: no process asks for it.\n", "", statusRefused}) {
		t.Errorf("%+v", r)
	}
	r = runOn(&fake{report: &inspect.Report{}}, 80, "status", "--json")
	s := mustDecode[status](t, r.out)
	if s.InUse || s.Interfaces == nil || s.KernelOnly == nil || s.Warnings == nil || strings.Contains(r.out, "null") {
		t.Errorf("%s", r.out)
	}
}

func TestStatusFails(t *testing.T) {
	if r := runOn(&fake{}, 80, "status"); r.status != statusFailed || r.errs != "msquicxdp: no netlink\n" {
		t.Errorf("%+v", r)
	}
	r := runOn(&fake{report: busy()}, 80, "status", "--interface", "eth9")
	if r.status != statusFailed || !strings.Contains(r.errs, "interface eth9: there is none of this name") {
		t.Errorf("%+v", r)
	}
}

// What cannot be seen is said, and is no reason to fail.
func TestStatusWithoutPrivilege(t *testing.T) {
	report := busy()
	eth0 := &report.Interfaces[1]
	eth0.Rules, eth0.Occupant.Name = nil, ""
	report.Hidden = []error{errors.New("the XDP program of eth0: operation not permitted; it needs the capability CAP_SYS_ADMIN")}
	r := runOn(&fake{report: report}, 0, "status")
	if r.status != statusDone {
		t.Errorf("%+v", r)
	}
	wantWords(t, r.out, "XDP is in use on eth0", "? cannot be seen: the XDP program of eth0", "CAP_SYS_ADMIN")
}

// Names that others chose do not reach a terminal as they are.
func TestStatusIsClean(t *testing.T) {
	const hostile = "\x1b]0;owned\x07\u202e\r\nevil\xff"
	report := busy()
	report.Interfaces[2].Occupant.Name = hostile
	report.Members[0].Program = hostile
	report.Notices[0].Program, report.Notices[0].Reasons[0] = hostile, hostile
	report.Claims[0].Party.Program = hostile
	report.Hidden = []error{errors.New(hostile)}
	for _, args := range [][]string{{"status"}, {"status", "--json"}} {
		wantClean(t, runOn(&fake{report: report}, 80, args...).out)
	}
}

// With --watch what grows has a rate.
func TestStatusWatch(t *testing.T) {
	clock := &ticking{fake: fake{report: busy()}}
	var out strings.Builder
	ctx, stop := context.WithCancel(context.Background())
	clock.looked = func(n int) {
		if n == 2 {
			rules := *clock.report.Interfaces[1].Rules
			rules.Packets[classifier.Redirected] += 50
			clock.report.Interfaces[1].Rules = &rules
			stop()
		}
	}
	s := statusOf{tool: &tool{out: &out, machine: clock}}
	if err := s.watch(ctx, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	first, second, ok := strings.Cut(out.String(), "\n\nXDP is in use")
	if !ok || strings.Contains(first, "/s") || !strings.Contains(second, "1203394 +25/s") {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	s = statusOf{tool: &tool{out: &out, machine: clock, width: 80}}
	if err := s.watch(ctx, time.Millisecond); err != nil || !strings.HasPrefix(out.String(), clear+"XDP is in use") {
		t.Errorf("on a terminal: %v, %q", err, out.String())
	}
	out.Reset()
	s = statusOf{tool: &tool{out: &out, machine: clock, json: true}}
	if err := s.watch(ctx, time.Millisecond); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("JSON: %v, %q", err, out.String())
	}
	mustDecode[status](t, out.String())
}

// ticking is a fake whose clock goes on two seconds at each look.
type ticking struct {
	fake
	looks  int
	looked func(n int)
}

func (c *ticking) inspect(string) (*inspect.Report, error) {
	c.looks++
	c.looked(c.looks)
	return c.report, nil
}

func (c *ticking) now() time.Time { return c.fake.now().Add(time.Duration(2*c.looks) * time.Second) }

func TestAge(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m",
		time.Hour: "1h00m", 23*time.Hour + 59*time.Minute: "23h59m", 49 * time.Hour: "2d01h",
	} {
		if got := age(now.Add(-d), now); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	if got := age(time.Time{}, now); got != "-" {
		t.Error(got)
	}
}
