// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"strconv"
	"testing"

	"github.com/msquicxdp/msquicxdp/datapath/inspect"
	"github.com/msquicxdp/msquicxdp/datapath/notice"
	"github.com/msquicxdp/msquicxdp/portres"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// What users write is a valid range of ports, or it is refused in words that can be printed.
func FuzzArguments(f *testing.F) {
	f.Add("udp", "4433")
	f.Add("TCP", "1-65535")
	f.Add("udp", "0")
	f.Add("udp", "5-4")
	f.Add("udp\x1b[2J", "+1")
	f.Fuzz(func(t *testing.T, proto, ports string) {
		r, err := parsePorts([]string{proto, ports})
		if err == nil && r.Validate() != nil {
			t.Errorf("%q %q is %v, which cannot be: %v", proto, ports, r, r.Validate())
		}
		if err != nil {
			wantClean(t, printable(err.Error()))
		}
		id, err := parseAccount("user", ports, func(string) (string, error) { return "", errors.New("unknown") })
		if err == nil && strconv.FormatUint(uint64(id), 10) != ports && ports[0] != '0' {
			t.Errorf("%q is user %d", ports, id)
		}
		if err == nil && id == 1<<32-1 {
			t.Errorf("%q is user %d, which is nobody", ports, id)
		}
	})
}

// Whatever others call themselves, what is printed obeys nobody, and as JSON it can be read.
func FuzzStatus(f *testing.F) {
	f.Add("server", "eth0", "it is down", 80, uint8(0))
	f.Add("\x1b[2J", "\u202e", "\xff\x00\n", 3, uint8(1))
	f.Fuzz(func(t *testing.T, program, name, reason string, width int, what uint8) {
		r := busy()
		r.Notices = append(r.Notices, notice.Notice{PID: int(what), Program: program, Served: []string{name}, Reasons: []string{reason}})
		r.Hidden = append(r.Hidden, errors.New(reason))
		r.Members[0].Program, r.Members[0].Err = program, errors.New(reason)
		i := &r.Interfaces[int(what)%len(r.Interfaces)]
		i.Name, i.Occupant.Name, i.Queues, i.Ours = name, program, int(what), what%2 == 0
		r.Claims = append(r.Claims, portres.Held{Proto: rules.UDP, Port: uint16(width), Party: rules.Party{Kind: rules.Kind(what % 8), Program: program}})
		if what%8 == 7 {
			r = &inspect.Report{Notices: r.Notices, Hidden: r.Hidden, Claims: r.Claims}
		}
		for _, args := range [][]string{{"status"}, {"status", "--interface", name}, {"status", "--json"}} {
			got := runOn(&fake{report: r}, width%500, args...)
			wantClean(t, got.out)
			wantClean(t, got.errs)
			if len(args) == 2 && got.errs == "" {
				mustDecode[status](t, got.out)
			}
		}
	})
}
