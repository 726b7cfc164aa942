// SPDX-License-Identifier: MIT

package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func goodSummary() *Summary {
	return &Summary{
		Scenes: []Scene{
			{Name: "handshakes", Connections: 40, Bytes: 2000, Elapsed: time.Second},
			{Name: "transfers", Connections: 10, Bytes: 8000, Elapsed: time.Second},
		},
		Servers: []Report{
			{Name: "0a0b", Fate: "served on", Path: "kernel", Handshakes: 20, Bytes: 2000, Migrations: moves, KeyUpdates: moves},
			{Name: "0c0d", Fate: "killed", Path: "kernel", Handshakes: 20, Bytes: 2000},
			{Name: "0c0d", Fate: "restarted", Path: "kernel", Handshakes: 10, Bytes: 1000},
		},
		Refusals: []Refusal{
			{"a foreign program", "address already in use"},
			{"a server", strings.Repeat("the reason may be long: ", 10)},
		},
		Handshakes:       50,
		RemoteKeyUpdates: moves,
		ECNCapable:       40,
		ECNReceived:      1,
	}
}

func TestResult(t *testing.T) {
	s := goodSummary()
	if err := s.check(); err != nil {
		t.Error(err)
	}
	const want = "demo ok: processes=2 handshakes=50 bytes=10000 misrouted=0 path=kernel"
	if got := s.Result(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestCheckFindsDifferences(t *testing.T) {
	for want, spoil := range map[string]func(*Summary){
		"49 handshakes, servers 50":        func(s *Summary) { s.Handshakes-- },
		"5000 bytes echoed, servers":       func(s *Summary) { s.Servers[0].Bytes++ },
		"1 streams with wrong bytes":       func(s *Summary) { s.Servers[0].Mismatches++ },
		"1 datagrams or streams reached":   func(s *Summary) { s.Servers[0].Misrouted++ },
		"2 datagrams or streams reached":   func(s *Summary) { s.Misrouted += 2 },
		"3 migrations":                     func(s *Summary) { s.Servers[0].Migrations-- },
		"began 3 key updates, want":        func(s *Summary) { s.Servers[0].KeyUpdates-- },
		"began 4 key updates, clients saw": func(s *Summary) { s.RemoteKeyUpdates++ },
		"dropped 7 datagrams while":        func(s *Summary) { s.Outage.Dropped = 7 },
		"ECN was validated on 39 of 50":    func(s *Summary) { s.ECNCapable = 39 },
		"no packet came with":              func(s *Summary) { s.ECNReceived = 0 },
	} {
		s := goodSummary()
		spoil(s)
		if err := s.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("check = %v, want %q", err, want)
		}
	}
}

func TestPrintFits80Columns(t *testing.T) {
	s := goodSummary()
	const many = 50_000_000
	for i := range s.Servers {
		s.Servers[i].Datapath = Datapath{RxTurns: many / 50, RxDatagrams: many, TxBatches: many / 50, TxDatagrams: many}
		s.Servers[i].HandedOver = many
	}
	s.Handshakes, s.RemoteKeyUpdates, s.ECNCapable, s.ECNReceived = many, 1000, 1000, many
	s.Outage.Answered.Store(many)
	var out bytes.Buffer
	s.Print(&out)
	for line := range strings.Lines(out.String()) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}
