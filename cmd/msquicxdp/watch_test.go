// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

func TestWatchPrints(t *testing.T) {
	for name, asJSON := range map[string]bool{"watch": false, "watch-json": true} {
		var out, errs strings.Builder
		f := somebody()
		w := watcher{tool: &tool{out: &out, errs: &errs, machine: f, json: asJSON}, appeared: "held"}
		look := func(list []claim) {
			t.Helper()
			f.list = list
			if err := w.look(); err != nil {
				t.Error(err)
			}
		}
		all := f.list
		early := member(7, "0a0b", rules.Party{Process: 814, Program: "shard-c", UID: 61001, Since: at(23, 18, 29)})
		late := early
		late.Party.Tier = rules.Guarded
		look(all[:1])
		look([]claim{all[0], early})
		look([]claim{all[0], late, all[4]})
		look([]claim{all[0], late, all[4]})
		f.err = errors.New("udp-1: no file")
		look([]claim{all[0]})
		look([]claim{all[0]})
		f.err = nil
		look(nil)
		wantGolden(t, name, out.String())
		if errs.String() != "msquicxdp: udp-1: no file\n" {
			t.Errorf("errors: %q", errs.String())
		}
	}
}

// A slot, identifier and port that change hands between two looks.
func TestChangesOfOwner(t *testing.T) {
	one := (&tool{machine: somebody()}).claimed(somebody().list[1])
	other := one
	other.PID++
	var got []string
	for _, c := range changes([]holder{one}, []holder{other}, "claimed") {
		got = append(got, fmt.Sprint(c.Event, " ", c.Holder.PID))
	}
	if fmt.Sprint(got) != "[released 812 claimed 813]" {
		t.Error(got)
	}
}

func TestWatchSeesAClaimComeAndGo(t *testing.T) {
	h := newTestHost(t)
	h.hold(listener(443))
	w := h.start("tool", "ports", "--state-dir", h.base, "watch", "--json", "--interval", "100ms")
	next := func(event string, port uint16) holder {
		t.Helper()
		c := mustDecode[change](t, w.line(t))
		if c.Event != event || c.Holder.Port != port || c.Time.IsZero() {
			t.Fatalf("%+v, want %s %d", c, event, port)
		}
		return c.Holder
	}
	next("held", 443)
	server := h.hold(shard("0a0b"))
	came := next("claimed", 4433)
	if came.PID != server.Process.Pid || came.ID != "0a0b" {
		t.Errorf("%+v", came)
	}
	if came.Tier != "guarded" { // it was seen before its tier was written
		came = next("changed", 4433)
	}
	server.kill()
	if gone := next("released", 4433); gone != came {
		t.Errorf("%+v went, %+v came", gone, came)
	}
	h.must(w.Process.Signal(unix.SIGINT))
	if w.lines.Scan() {
		t.Errorf("after the interrupt: %s", w.lines.Text())
	}
	if err := w.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}
