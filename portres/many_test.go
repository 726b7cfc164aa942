// SPDX-License-Identifier: MIT

package portres

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// A thousand claimants at once: manyProcesses processes with as many goroutines
// each as manySpecs has specs.
const manyProcesses = 4

// manySpecs is what each of the processes asks for.
func manySpecs(kind string) []Spec {
	first, err := strconv.Atoi(kind)
	specs := make([]Spec, 1000/manyProcesses)
	for i := range specs {
		switch {
		case err == nil: // distinct in all processes
			specs[i] = member(first*len(specs) + i)
		case kind == "equal": // a hundred identifiers
			specs[i] = member(i % 100)
		default:
			specs[i] = exclusively(rules.Listener)
		}
	}
	return specs
}

func TestThousandClaimants(t *testing.T) {
	for _, test := range []struct {
		name string
		kind func(process int) string
		want int
	}{
		{"distinct identifiers", strconv.Itoa, 1000},
		{"equal identifiers", func(int) string { return "equal" }, 100},
		{"exclusive", func(int) string { return "exclusive" }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			granted, end := h.race(test.kind)
			held, err := List(h.dir)
			h.must(err)
			if granted != test.want || len(held) != test.want {
				t.Errorf("granted %d, listed %d, want %d", granted, len(held), test.want)
			}
			ids, slots := map[string]bool{}, map[uint32]bool{}
			for _, c := range held {
				ids[c.Party.ID.String()], slots[c.Slot] = true, true
			}
			if len(ids) != test.want || len(slots) != test.want {
				t.Errorf("%d claims have %d identifiers, %d slots", test.want, len(ids), len(slots))
			}
			end()
			h.wantList()
		})
	}
}

// race starts the processes, lets them all begin at once, and returns how many
// claims they got. end kills them.
func (h *host) race(kind func(process int) string) (granted int, end func()) {
	h.Helper()
	children := make([]child, manyProcesses)
	for i := range children {
		children[i] = h.start("many", kind(i))
	}
	for _, c := range children {
		fmt.Fprintln(c.in)
	}
	for _, c := range children {
		granted += h.number(c)
	}
	return granted, func() {
		for _, c := range children {
			h.kill(c)
		}
	}
}
