// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
)

// What fails costs nobody else the result.
func TestCasesBehindOneThatFailsAreMeasured(t *testing.T) {
	list := cases()
	measured, groups := 0, 0
	err := eachGroup(context.Background(), list, io.Discard, func(group []benchCase) error {
		measured += len(group)
		if groups++; groups == 2 {
			return errors.New("no luck")
		}
		return nil
	})
	if measured != len(list) {
		t.Errorf("%d of %d cases", measured, len(list))
	}
	if want := list[1].name() + ": no luck"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestWhoInterruptsIsObeyed(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	groups := 0
	err := eachGroup(ctx, cases(), io.Discard, func([]benchCase) error {
		groups++
		cancel()
		return nil
	})
	if groups != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d groups, %v", groups, err)
	}
}

// A table is printed whichever cases it has.
func TestTableOfWhatThereIs(t *testing.T) {
	for i := range full().Cases {
		r := full()
		r.Cases = append(r.Cases[:i:i], r.Cases[i+1:]...)
		var out strings.Builder
		if err := r.writeTable(&out); err != nil {
			t.Errorf("without %s: %v", full().Cases[i].Name, err)
		}
	}
	var out strings.Builder
	if err := (&report{}).writeTable(&out); err != nil || out.Len() == 0 {
		t.Errorf("without any: %v, %q", err, out.String())
	}
}

func TestLeastOf(t *testing.T) {
	passes := []map[string]metrics{{"a": {"ns": 3}, "b": {"ns": 1}}, {"a": {"ns": 2}, "b": {"ns": 2}}}
	var least map[string]metrics
	for _, pass := range passes {
		least = leastOf(least, pass)
	}
	if want := map[string]metrics{"a": {"ns": 2}, "b": {"ns": 1}}; !maps.EqualFunc(least, want, maps.Equal[metrics, metrics]) {
		t.Errorf("%v, want %v", least, want)
	}
}
