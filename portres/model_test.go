// SPDX-License-Identifier: MIT

package portres

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Claims are made, released and lost in random order, also while forked
// children have copies of them. The rules are asked with what the model knows,
// and must say what they say to Acquire, which knows the locks.
func TestClaimsAgainstModel(t *testing.T) {
	h := newHost(t)
	h.ns.Do(t, func() error { // one thread: forked children end with it
		rapid.Check(t, h.claims())
		return nil
	})
}

// The same, in orders that the fuzzer finds.
func FuzzClaims(f *testing.F) {
	h := newHost(f)
	play := rapid.MakeFuzz(h.claims())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, order []byte) {
		h.TB = t
		defer func() { h.TB = f }()
		h.ns.Do(t, func() error {
			play(t, order)
			return nil
		})
	})
}

// claims plays with claims on one port, each time another.
func (h *host) claims() func(*rapid.T) {
	port := uint16(0)
	return func(t *rapid.T) {
		port++
		m := &model{host: h, port: max(port, 1), children: map[int]bool{}}
		defer m.end(t)
		t.Repeat(map[string]func(*rapid.T){
			"claim": m.claim, "release": m.release, "die": m.die, "fork": m.fork, "kill": m.kill, "": m.check,
		})
	}
}

// model is one port.
type model struct {
	*host
	port     uint16
	claims   []*modelClaim // that somebody holds
	children map[int]bool  // pids of forked children
}

type modelClaim struct {
	*Claim
	party   rules.Party
	holders map[int]bool // pids, 0 for this process
}

func (m *model) claim(t *rapid.T) {
	spec := m.drawSpec(t)
	var holders []rules.Party
	for _, c := range m.claims {
		holders = append(holders, c.party)
	}
	want := rules.Decide(rules.State{Proto: spec.Proto, Port: spec.Port, Holders: holders, Reservation: spec.Reservation},
		rules.Request{Party: spec.Party, AutoPort: spec.AutoPort})

	c, err := Acquire(m.dir, spec)
	var refused *Refused
	switch {
	case err == nil:
		spec.Party.Alone = c.Decision().Outcome == rules.ServesAlone
		m.claims = append(m.claims, &modelClaim{c, spec.Party, map[int]bool{0: true}})
		wantDecision(t, c.Decision(), want)
	case errors.As(err, &refused):
		wantDecision(t, refused.Decision, want)
		if taken := refused.Decision; taken.Reason == rules.IdentifierTaken && taken.Holder.ID != spec.Party.ID {
			t.Errorf("identifier %v is taken by %+v", spec.Party.ID, taken.Holder)
		}
	default:
		t.Error(err)
	}
}

func wantDecision(t *rapid.T, got, want rules.Decision) {
	if got.Outcome != want.Outcome || got.Reason != want.Reason || (got.Holder == nil) != (want.Holder == nil) {
		t.Errorf("%v, %v, holder %+v; want %v, %v, holder %+v", got.Outcome, got.Reason, got.Holder, want.Outcome, want.Reason, want.Holder)
	}
}

func (m *model) drawSpec(t *rapid.T) Spec {
	spec := exclusively(rapid.SampledFrom([]rules.Kind{rules.Listener, rules.Client, rules.QTIP}).Draw(t, "kind"))
	if rapid.IntRange(0, 4).Draw(t, "shared") != 0 {
		spec = member(rapid.IntRange(1, 4).Draw(t, "id"))
		spec.Party.Steering = rapid.IntRange(0, 5).Draw(t, "steering") != 0
		spec.Party.Encoding = rapid.SampledFrom([]cibir.Encoding{nine, nine, {Length: 2, SourceOffset: 1}}).Draw(t, "encoding")
	}
	spec.Port = m.port
	spec.AutoPort = rapid.IntRange(0, 9).Draw(t, "any port") == 0
	if rapid.IntRange(0, 3).Draw(t, "reserved") == 0 {
		spec.Reservation = &rules.Reservation{Permitted: rapid.Bool().Draw(t, "permitted"), Exclusive: rapid.Bool().Draw(t, "exclusive"), Encoding: nine}
	}
	return spec
}

// release ends a claim for everybody.
func (m *model) release(t *rapid.T) {
	c := m.mine(t)
	m.must(c.Release())
	m.claims = slices.DeleteFunc(m.claims, func(other *modelClaim) bool { return other == c })
}

// die closes a claim's descriptor, as the end of the process does.
func (m *model) die(t *rapid.T) {
	c := m.mine(t)
	m.must(c.file.Close())
	m.forget(0, c)
}

func (m *model) fork(t *rapid.T) {
	if len(m.children) == 2 || rapid.IntRange(0, 3).Draw(t, "fork") != 0 {
		t.Skip("few: it is dear")
	}
	pid, err := fork(-1)
	m.must(err)
	m.children[pid] = true
	for _, c := range m.claims {
		if c.holders[0] {
			c.holders[pid] = true
		}
	}
}

func (m *model) kill(t *rapid.T) {
	if len(m.children) == 0 {
		t.Skip("no children")
	}
	pids := make([]int, 0, len(m.children))
	for pid := range m.children {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	pid := rapid.SampledFrom(pids).Draw(t, "child")
	m.must(kill(pid))
	delete(m.children, pid)
	m.forget(pid, m.claims...)
}

// mine chooses a claim of which this process has the descriptor.
func (m *model) mine(t *rapid.T) *modelClaim {
	var mine []*modelClaim
	for _, c := range m.claims {
		if c.holders[0] {
			mine = append(mine, c)
		}
	}
	if len(mine) == 0 {
		t.Skip("no claims")
	}
	return mine[rapid.IntRange(0, len(mine)-1).Draw(t, "claim")]
}

// forget takes a process from claims. Those that nobody holds any more end.
func (m *model) forget(pid int, claims ...*modelClaim) {
	for _, c := range claims {
		delete(c.holders, pid)
	}
	m.claims = slices.DeleteFunc(m.claims, func(c *modelClaim) bool { return len(c.holders) == 0 })
}

// check compares the list.
func (m *model) check(t *rapid.T) {
	held, err := List(m.dir)
	m.must(err)
	if len(held) != len(m.claims) {
		t.Errorf("%d claims listed, want %d", len(held), len(m.claims))
	}
	for _, c := range m.claims {
		if !slices.ContainsFunc(held, c.isListedAs) {
			t.Errorf("not listed: %+v, slot %d; listed %+v", c.party, c.Slot(), held)
		}
	}
}

func (c *modelClaim) isListedAs(held Held) bool {
	p := held.Party
	return held.Slot == c.Slot() && held.Exclusive == (c.party.Kind != rules.CIBIR || c.party.Alone) &&
		p.Kind == c.party.Kind && p.ID == c.party.ID && p.Encoding == c.party.Encoding && p.Alone == c.party.Alone && p.SameProcess
}

func (m *model) end(t *rapid.T) {
	for pid := range m.children {
		m.must(kill(pid))
		m.forget(pid, m.claims...)
	}
	for _, c := range m.claims {
		m.must(c.Release())
	}
	m.claims = nil
	m.check(t)
}
