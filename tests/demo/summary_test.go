// SPDX-License-Identifier: MIT

package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
)

func goodSummary() *Summary {
	return &Summary{
		Path: XDP,
		Scenes: []Scene{
			{Name: "handshakes", Connections: 40, Bytes: 2000, Elapsed: time.Second},
			{Name: "transfers", Connections: 10, Bytes: 8000, Elapsed: time.Second},
		},
		Servers: []Report{
			{Name: "0a0b", Fate: "killed", Path: "xdp", Handshakes: 20, Bytes: 2000},
			{Name: "0a0b", Fate: "restarted", Path: "xdp", Handshakes: 10, Bytes: 1000},
			{Name: "0c0d", Fate: "served on", Path: "xdp", Handshakes: 20, Bytes: 2000, Migrations: moves, KeyUpdates: moves},
		},
		Refusals: []Refusal{
			{"a foreign program", "address already in use"},
			{"a server", strings.Repeat("the reason may be long: ", 10)},
		},
		Handshakes:       50,
		RemoteKeyUpdates: moves,
		ECNCapable:       40,
		ECNReceived:      1,
		Observation: Observation{
			Mode: classifier.Native, Redirected: map[uint32]int64{7: 1000}, Members: 2, Chunks: 500,
			Early: KernelUDP{Received: fragmented}, Kernel: KernelUDP{Received: 10},
		},
	}
}

func TestResult(t *testing.T) {
	const line = "demo ok: processes=2 handshakes=50 bytes=10000 misrouted=0 path="
	xdp, mixed, kernel := goodSummary(), goodSummary(), goodSummary()
	mixed.Path = Mixed
	mixed.Observation.Redirected[8] = 200 // of the program of the server that came back
	mixed.Observation.Kernel.Received = 500
	mixed.Observation.Members = 1
	mixed.Observation.Mode = classifier.Generic
	kernel.Path = Kernel
	kernel.Observation = Observation{Kernel: KernelUDP{Received: 500}}
	for want, s := range map[string]*Summary{
		line + "xdp mode=native frames_missing=0":    xdp,
		line + "mixed mode=generic frames_missing=0": mixed,
		line + "kernel": kernel,
	} {
		if err := s.check(); err != nil {
			t.Errorf("%s: %v", s.Path, err)
		}
		if got := s.Result(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestCheckFindsDifferences(t *testing.T) {
	for want, spoil := range map[string]func(*Summary){
		"49 handshakes, servers 50":        func(s *Summary) { s.Handshakes-- },
		"5000 bytes echoed, servers":       func(s *Summary) { s.Servers[0].Bytes++ },
		"1 streams with wrong bytes":       func(s *Summary) { s.Servers[0].Mismatches++ },
		"1 datagrams or streams reached":   func(s *Summary) { s.Servers[0].Misrouted++ },
		"2 datagrams or streams reached":   func(s *Summary) { s.Misrouted += 2 },
		"3 migrations":                     func(s *Summary) { s.Servers[2].Migrations-- },
		"began 3 key updates, want":        func(s *Summary) { s.Servers[2].KeyUpdates-- },
		"began 4 key updates, clients saw": func(s *Summary) { s.RemoteKeyUpdates++ },
		"dropped 7 datagrams while":        func(s *Summary) { s.Outage.Dropped = 7 },
		"ECN was validated on 39 of 50":    func(s *Summary) { s.ECNCapable = 39 },
		"no packet came with":              func(s *Summary) { s.ECNReceived = 0 },
		"path mixed, want xdp":             func(s *Summary) { s.Observation.Kernel.Received = 11 },
		"path kernel, want xdp":            func(s *Summary) { s.Observation.Redirected = nil },
		"path xdp, want kernel":            func(s *Summary) { s.Path = Kernel },
		"has 1 members, want 2":            func(s *Summary) { s.Observation.Members-- },
		"2 of 500 frames are missing":      func(s *Summary) { s.Observation.Missing = 2 },
		"got 5 datagrams before":           func(s *Summary) { s.Observation.Early.Received++ },
		"2 XDP programs":                   func(s *Summary) { s.Observation.Redirected[8] = 1 },
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
		s.Servers[i].HandedOver, s.Servers[i].Lost = many, many
	}
	s.Handshakes, s.RemoteKeyUpdates, s.ECNCapable, s.ECNReceived = many, 1000, 1000, many
	s.Outage.Answered.Store(many)
	s.Observation.Kernel = KernelUDP{many, many}
	s.Observation.Redirected[7] = many
	var out bytes.Buffer
	s.Print(&out)
	for line := range strings.Lines(out.String()) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}
