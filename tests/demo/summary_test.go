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
		Servers: []Report{{
			Name: "one", Path: "kernel", Handshakes: 50, Bytes: 5000,
			Migrations: migrations, KeyUpdates: keyUpdaters,
		}},
		Handshakes:       50,
		RemoteKeyUpdates: keyUpdaters,
		ECNCapable:       40,
		ECNReceived:      1,
	}
}

func TestResult(t *testing.T) {
	s := goodSummary()
	if err := s.check(); err != nil {
		t.Error(err)
	}
	const want = "demo ok: processes=1 handshakes=50 bytes=10000 misrouted=0 path=kernel"
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
		"began 1 key updates, want":        func(s *Summary) { s.Servers[0].KeyUpdates-- },
		"began 2 key updates, clients saw": func(s *Summary) { s.RemoteKeyUpdates++ },
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
	s.Servers[0].Datapath = Datapath{RxTurns: many / 50, RxDatagrams: many, TxBatches: many / 50, TxDatagrams: many}
	s.Servers[0].HandedOver = 50_000_000
	var out bytes.Buffer
	s.Print(&out)
	for line := range strings.Lines(out.String()) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}
