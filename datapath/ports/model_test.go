// SPDX-License-Identifier: MIT

package ports

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Processes get the port, give it back and are killed in random order. A model
// says who is refused and why, and who receives which identifier.
func TestLeasesAgainstModel(t *testing.T) {
	eachTier(t, tiers[:2], func(t *testing.T, r *room, tier setting) {
		m := &model{room: r, client: r.client(), tier: tier, children: make([]*child, 3)}
		rapid.Check(t, func(t *rapid.T) {
			m.leases = map[int]int{}
			defer func() {
				for i := range m.leases {
					m.children[i].do(order{Do: "release"})
				}
			}()
			t.Repeat(map[string]func(*rapid.T){"acquire": m.acquire, "release": m.release, "kill": m.kill, "": m.check})
		})
	})
}

// model is who has the port.
type model struct {
	*room
	client   *client
	tier     setting
	children []*child    // nil: none that lives
	leases   map[int]int // of children: their identifiers, 0 for an exclusive listener
}

const identifiers = 3

func (m *model) acquire(t *rapid.T) {
	var idle []int
	for i := range m.children {
		if _, has := m.leases[i]; !has {
			idle = append(idle, i)
		}
	}
	if len(idle) == 0 {
		t.Skip("all have the port")
	}
	i := rapid.SampledFrom(idle).Draw(t, "child")
	id := max(0, rapid.IntRange(-1, 2*identifiers).Draw(t, "id")%(identifiers+1))
	if m.children[i] == nil {
		m.children[i] = m.start(fmt.Sprint("child ", i), m.tier.as)
	}
	rep := m.children[i].do(order{Do: "acquire", ID: id})
	if want := m.refusal(id); rep.Reason != want || (rep.Err == "") != (want == "") {
		t.Fatalf("child %d asks for %d beside %v: %+v, want %q", i, id, m.leases, rep, want)
	}
	if rep.Err != "" {
		return
	}
	m.leases[i] = id
	if id != 0 && (!rep.Shared || rep.Tier != m.tier.Tier) {
		t.Errorf("%+v, want tier %v, shared", rep, m.tier.Tier)
	}
}

// refusal is why a listener does not get the port.
func (m *model) refusal(id int) string {
	for _, other := range m.leases {
		switch {
		case other == 0:
			return rules.HeldExclusively.String()
		case id == 0:
			return rules.HeldShared.String()
		}
	}
	if slices.Contains(slices.Collect(maps.Values(m.leases)), id) {
		return rules.IdentifierTaken.String()
	}
	return ""
}

// lease chooses a child that has the port.
func (m *model) lease(t *rapid.T) int {
	if len(m.leases) == 0 {
		t.Skip("nobody has the port")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.leases))).Draw(t, "child")
}

func (m *model) release(t *rapid.T) {
	i := m.lease(t)
	m.children[i].do(order{Do: "release"})
	delete(m.leases, i)
}

func (m *model) kill(t *rapid.T) {
	i := m.lease(t)
	m.children[i].killed()
	m.children[i] = nil
	delete(m.leases, i)
}

// check sends to every identifier. An exclusive listener gets everything.
func (m *model) check(t *rapid.T) {
	for id := 1; id <= identifiers; id++ {
		var owner *child
		for i, has := range m.leases {
			if has == id || has == 0 {
				owner = m.children[i]
			}
		}
		err := error(nil)
		if owner != nil {
			err = m.client.at(id, owner.name)
		} else {
			err = m.client.nowhere(id)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range m.leases {
		if n := m.children[i].do(order{Do: "count"}).Misrouted; n != 0 {
			t.Fatalf("child %d got %d datagrams for others", i, n)
		}
	}
}
