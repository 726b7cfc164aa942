// SPDX-License-Identifier: MIT

package inspect

import (
	"errors"
	"strings"
	"testing"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/notice"
	"github.com/msquicxdp/msquicxdp/datapath/pool"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// served is an interface of two queues, some of which members serve.
func served(name string, queues ...int) Interface {
	i := Interface{Index: 2, Name: name, Up: true, Queues: 2, Ours: true, Occupant: classifier.Occupant{Program: 7, Mode: classifier.Native},
		Rules: &Rules{}}
	for _, q := range queues {
		a := &pool.Account{Most: 16, Census: pool.Census{Missing: 1, Seats: []pool.SeatCensus{{Slot: 5}}}, Sockets: []pool.SocketAccount{{Known: true}}}
		i.Pools = append(i.Pools, pool.ObservedPool{Ifindex: 2, Queue: q, Seats: 1, Account: a})
	}
	return i
}

func at(slot uint32, err error) Member {
	return Member{Observed: pool.Observed{Peer: pool.Peer{Slot: slot, PID: 812}, Err: err}, Program: "server"}
}

func TestVerdict(t *testing.T) {
	zero := served("eth0", 0, 1)
	for _, p := range zero.Pools {
		p.Account.Sockets[0].ZeroCopy = true
	}
	lossy := served("eth0", 0, 1)
	lossy.Pools[1].Account.Census.Missing = 500
	mapped := served("eth0", 0, 1)
	mapped.Ours, mapped.Occupant.Name = false, "mine"
	silent := served("eth0", 0)
	silent.Pools[0].Seats, silent.Pools[0].Account = 2, nil
	asks := portres.Held{Version: portres.Version, Proto: rules.UDP, Port: 443, Party: rules.Party{XDP: true}}
	for name, test := range map[string]struct {
		r        Report
		inUse    bool
		says     string
		warnings string // joined; "": none
	}{
		"nobody":    {Report{}, false, "XDP is not in use: no process asks for it", ""},
		"asks":      {Report{Claims: []portres.Held{asks}}, false, "has not said why", ""},
		"hidden":    {Report{Hidden: []error{errors.New("claims: no rights")}}, false, "as far as can be seen: claims: no rights", ""},
		"all":       {Report{Interfaces: []Interface{served("eth0", 0, 1)}, Members: []Member{at(5, nil)}}, true, "XDP is in use on eth0 (native, copy, 2 of 2 queues), by 1 member", ""},
		"zero-copy": {Report{Interfaces: []Interface{zero}}, true, "eth0 (native, zero-copy, 2 of 2 queues)", ""},
		"part":      {Report{Interfaces: []Interface{served("eth0", 1)}}, true, "1 of 2 queues", "1 of 2 receive queues are served"},
		"beyond":    {Report{Interfaces: []Interface{served("eth0", 0, 1, 2)}}, true, "2 of 2 queues", ""}, // a queue that has been switched off
		"lossy":     {Report{Interfaces: []Interface{lossy}}, true, "in use", "eth0 queue 1: 500 frames are missing"},
		"nobody tells": {Report{Interfaces: []Interface{silent}, Members: []Member{at(5, pool.ErrSilent)}}, true,
			"(native, unknown copy mode, 1 of 2 queues), by 2 members", "slot 5, server (pid 812): it does not answer"},
		"refused": {Report{Notices: []notice.Notice{{PID: 9, Program: "x", Reasons: []string{"no rights", "no luck"}}}}, false,
			"XDP is not in use: x (pid 9): no rights", "x (pid 9): no luck"},
		"partly refused": {Report{Interfaces: []Interface{served("eth0", 0, 1)}, Notices: []notice.Notice{{PID: 9, Program: "x", Reasons: []string{"eth1: it is down"}}}},
			true, "in use on eth0", "x (pid 9): eth1: it is down"},
		"map mode":  {Report{Interfaces: []Interface{mapped}}, true, "eth0 (native, copy, 2 of 2 queues, by the application's own program mine)", ""},
		"elsewhere": {Report{Interfaces: []Interface{{Name: "eth0", Ours: true}}}, false, "another state directory", ""},
		"other version": {Report{Interfaces: []Interface{{Name: "eth0", Ours: true}}, Hidden: []error{errors.New("members: another version")}}, false,
			"as far as can be seen: members: another version", ""},
		"idle": {Report{Members: []Member{at(5, nil)}}, false, "1 members are there, and none serves a queue", ""},
	} {
		v := test.r.Verdict()
		warnings := strings.Join(v.Warnings, "\n")
		if v.InUse != test.inUse || !strings.Contains(v.Sentence, test.says) || !strings.Contains(warnings, test.warnings) || test.warnings == "" && warnings != "" {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestKernelOnly(t *testing.T) {
	id := func(text string) cibir.ID {
		parsed, err := cibir.ParseID(text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	encoding := cibir.Encoding{Length: 1, SourceOffset: 9, DestinationOffset: 9}
	i := served("eth0", 0, 1)
	i.Rules = &Rules{
		Ports:       []classifier.Port{{Number: 443, Rule: classifier.Exclusive(5)}, {Number: 4433, Rule: classifier.Shared(encoding)}},
		Identifiers: []classifier.Identifier{{Port: 4433, ID: id("0a"), Slot: 5}},
	}
	hidden := i
	hidden.Rules = nil
	idle := i
	idle.Pools = nil
	claim := func(port uint16, name string, xdp bool) portres.Held {
		p := rules.Party{Process: 812, XDP: xdp}
		if name != "" {
			p.ID = id(name)
		}
		return portres.Held{Version: portres.Version, Proto: rules.UDP, Port: port, Party: p}
	}
	tcp := claim(443, "", true)
	tcp.Proto = rules.TCP
	other := claim(443, "", true)
	other.Version++
	refused := []notice.Notice{{PID: 1, Reasons: []string{"another's"}}, {PID: 812, Reasons: []string{"a reason", "another"}}}
	for name, test := range map[string]struct {
		i       Interface
		notices []notice.Notice
		claim   portres.Held
		why     string // "": AF_XDP serves it
	}{
		"exclusive":     {i, nil, claim(443, "", true), ""},
		"shared":        {i, nil, claim(4433, "0a", true), ""},
		"another's ID":  {i, nil, claim(4433, "0b", false), "it did not ask for XDP"},
		"not asked":     {i, refused, claim(9000, "", false), "it did not ask for XDP"},
		"refused":       {i, refused, claim(9000, "", true), "a reason; another"},
		"TCP":           {i, nil, tcp, "no rule directs"},
		"no rule":       {i, nil, claim(9000, "", true), "no rule directs"},
		"hidden":        {hidden, nil, claim(443, "", true), "cannot be seen"},
		"hidden, said":  {hidden, []notice.Notice{{PID: 812, Served: []string{"eth0"}}}, claim(443, "", true), "it has XDP on eth0"},
		"nobody serves": {idle, nil, claim(443, "", true), "XDP is not in use here"},
		"other version": {i, nil, other, ""},
	} {
		r := Report{Interfaces: []Interface{test.i}, Notices: test.notices, Claims: []portres.Held{test.claim}}
		list := r.KernelOnly()
		if test.why == "" && len(list) != 0 || test.why != "" && (len(list) != 1 || !strings.Contains(list[0].Why, test.why)) {
			t.Errorf("%s: %+v", name, list)
		}
	}
}

func TestOnly(t *testing.T) {
	r := Report{Interfaces: []Interface{{Name: "lo"}, served("eth0", 0)}, Members: []Member{at(5, nil), at(6, nil)}}
	if r.Only("eth1") != nil {
		t.Error("there is no eth1")
	}
	if o := r.Only("eth0"); len(o.Interfaces) != 1 || len(o.Members) != 1 || o.Members[0].Slot != 5 || !o.Verdict().InUse {
		t.Errorf("%+v", o)
	}
	if o := r.Only("lo"); len(o.Members) != 0 || o.Verdict().InUse {
		t.Errorf("%+v", o)
	}
}
