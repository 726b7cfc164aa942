// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func namesFor(t *testing.T, args ...string) []string {
	t.Helper()
	var out bytes.Buffer
	if err := run(context.Background(), append(args, "-list"), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return strings.Fields(out.String())
}

func TestEveryCaseHasANameOfItsOwn(t *testing.T) {
	names := namesFor(t)
	if want := 4*2*2*2 + 1 + (6 + 7 + 7) + 2; len(names) != want {
		t.Errorf("%d cases, want %d", len(names), want)
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) {
		t.Errorf("%d names for %d cases: %v", n, len(names), names)
	}
}

func TestFilterChoosesCases(t *testing.T) {
	got := namesFor(t, "-filter", "^send/veth/.*/32$|micro|^echo/xdp.*/full-[12]$|stages")
	want := []string{"send/veth/64/32", "send/veth/1280/32", "micro", "echo/xdp/1280/32/full-1", "echo/xdp/1280/32/full-2", "stages"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestQuickLeavesOutLoopback(t *testing.T) {
	for _, name := range namesFor(t, "-quick") {
		if strings.Contains(name, "/lo/") {
			t.Errorf("%s is in a quick run", name)
		}
	}
}

// All rows of a job by AF_XDP are measured in turn with each other.
func TestRowsOfAJobAreMeasuredTogether(t *testing.T) {
	list := cases()
	groups := map[string]int{}
	for done := 0; done < len(list); {
		group := groupAt(list[done:])
		if len(group) > 1 {
			groups[group[0].job] = len(group)
		}
		done += len(group)
	}
	if groups[jobReceive] != 6 || groups[jobSend] != 7 || groups[jobEcho] != 7 || len(groups) != 3 {
		t.Errorf("groups: %v", groups)
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-repeats", "0"}, {"-time", "1ms"}, {"-rate", "-1"}, {"-filter", "("}, {"-filter", "none"}, {"-nonsense"}, {"word"},
	} {
		if err := run(context.Background(), append(args, "-list"), io.Discard, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

func TestQuickIsShort(t *testing.T) {
	o, err := parse([]string{"-quick"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	for _, c := range selected(o) {
		if c.link == linkXDP {
			runs += quickXDPRepeats
		} else {
			runs += 2 * o.repeats
		}
	}
	if total := time.Duration(runs) * (o.time + o.time/5); total > 10*time.Second {
		t.Errorf("a quick run measures for %v", total)
	}
}
