// SPDX-License-Identifier: MIT

package steering

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/bpf"
	"github.com/msquicxdp/msquicxdp/cibir"
)

// model is what the steering of a port should do, said more simply.
type model struct {
	p      *port
	leads  map[cibir.ID]uint32 // to which slot an identifier leads, whoever is there
	serves map[uint32]cibir.ID // whose a slot is, or was
	alive  map[uint32][]int    // sockets of the living
}

const (
	fewSlots = 4
	fewIDs   = 6
)

var narrow = cibir.Encoding{Length: 1, SourceOffset: 2, DestinationOffset: 1}

// Datagrams of all kinds while processes come, go and die: the kernel does what
// the model says, and what [cibir.Encoding.Find] does.
func TestSteeringDoesWhatTheModelSays(t *testing.T) {
	p := newPort(t, narrow)
	p.sockets(1) // in the group and in no slot: must never get anything
	rapid.Check(t, p.history(t))
}

// The same, in orders that the fuzzer finds.
func FuzzHistory(f *testing.F) {
	p := newPort(f, narrow)
	p.sockets(1)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, order []byte) {
		p.t = t
		defer func() { p.t = f }()
		rapid.MakeFuzz(p.history(t))(t, order)
	})
}

// history lets members come, go and die while datagrams come.
func (p *port) history(t testing.TB) func(*rapid.T) {
	return func(r *rapid.T) {
		m := &model{p, map[cibir.ID]uint32{}, map[uint32]cibir.ID{}, map[uint32][]int{}}
		defer m.reset(t)
		r.Repeat(map[string]func(*rapid.T){
			"":         func(*rapid.T) { p.wantSilence() },
			"publish":  m.publish,
			"withdraw": m.withdraw,
			"die":      m.die,
			"crash":    m.crash,
			"send":     m.send,
			"send ":    m.send, // the most frequent
		})
	}
}

// reset makes the port as it was at the start.
func (m *model) reset(t testing.TB) {
	for slot := range uint32(fewSlots) {
		m.end(slot)
		if err := errors.Join(m.p.g.forget(slot), m.p.g.clear(slot, identifier(1, 0), 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// end closes what is open in a slot.
func (m *model) end(slot uint32) {
	m.p.close(m.alive[slot]...)
	delete(m.alive, slot)
}

// free draws a slot and an identifier that nobody alive has.
func (m *model) free(r *rapid.T) (slot uint32, id cibir.ID) {
	slot = rapid.Uint32Range(0, fewSlots-1).Draw(r, "slot")
	id = identifier(1, rapid.IntRange(1, fewIDs).Draw(r, "id"))
	if at, ok := m.leads[id]; m.alive[slot] != nil || ok && m.alive[at] != nil {
		r.Skip("the slot or the identifier has a living owner")
	}
	return slot, id
}

func (m *model) publish(r *rapid.T) {
	slot, id := m.free(r)
	m.alive[slot] = m.p.sockets(rapid.IntRange(1, 3).Draw(r, "sockets"))
	if err := m.p.g.Publish(slot, id, m.alive[slot]); err != nil {
		r.Fatal(err)
	}
	m.forget(slot)
	m.leads[id], m.serves[slot] = slot, id
}

// forget is what becomes of the entry of a former owner.
func (m *model) forget(slot uint32) {
	if former := m.serves[slot]; m.leads[former] == slot {
		delete(m.leads, former)
	}
}

// crash is a process that dies in the middle of publishing, behind one of its steps.
func (m *model) crash(r *rapid.T) {
	slot, id := m.free(r)
	steps := rapid.IntRange(1, 3).Draw(r, "steps")
	if err := m.p.g.forget(slot); err != nil {
		r.Fatal(err)
	}
	m.forget(slot)
	if steps == 1 {
		return
	}
	if err := m.p.g.objects.Slots.Put(slot, bpf.ReuseportSlot{Identifier: key(id), Sockets: 2}); err != nil {
		r.Fatal(err)
	}
	m.serves[slot] = id
	if steps == 2 {
		return
	}
	fds := m.p.sockets(2)
	if _, err := m.p.g.insert(slot, fds[:1]); err != nil {
		r.Fatal(err)
	}
	m.p.close(fds...)
}

// anyAlive draws a slot with a living owner.
func (m *model) anyAlive(r *rapid.T) uint32 {
	if len(m.alive) == 0 {
		r.Skip("nobody is alive")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.alive))).Draw(r, "slot")
}

func (m *model) withdraw(r *rapid.T) {
	slot := m.anyAlive(r)
	if err := m.p.g.Withdraw(slot, m.serves[slot]); err != nil {
		r.Fatal(err)
	}
	m.forget(slot)
	delete(m.serves, slot)
	m.end(slot)
}

func (m *model) die(r *rapid.T) { m.end(m.anyAlive(r)) }

// expect says how a datagram is counted and which sockets may get it.
func (m *model) expect(datagram []byte) (Counters, []int) {
	id, verdict := m.p.g.Encoding().Find(datagram)
	switch verdict {
	case cibir.TooShort:
		return Counters{TooShort: 1}, nil
	case cibir.NoIdentifier:
		return Counters{NoIdentifier: 1}, nil
	}
	slot, ok := m.leads[id]
	if !ok {
		return Counters{UnknownIdentifier: 1}, nil
	}
	if m.alive[slot] == nil {
		return Counters{DeadMember: 1}, nil
	}
	return Counters{Delivered: 1}, m.alive[slot]
}

func (m *model) send(r *rapid.T) {
	datagram := drawDatagram(r)
	family := rapid.SampledFrom(families).Draw(r, "family")
	want, sockets := m.expect(datagram)
	if got := m.p.judge(family, datagram); got != want {
		r.Fatalf("%x over %s was counted as %+v, want %+v", datagram, family, got, want)
	}
	if sockets == nil {
		return
	}
	if fd := m.p.readable(); !slices.Contains(sockets, fd) {
		r.Fatalf("%x over %s went to socket %d, not to one of %v", datagram, family, fd, sockets)
	} else if got := m.p.receive(fd); !slices.Equal(got, datagram) {
		r.Fatalf("%x over %s arrived as %x", datagram, family, got)
	}
}

// drawDatagram draws one that has an identifier, or had one before it was cut, or anything.
func drawDatagram(r *rapid.T) []byte {
	id := identifier(1, rapid.IntRange(0, fewIDs+1).Draw(r, "id"))
	some := rapid.SliceOfN(rapid.Byte(), 0, 30)
	switch rapid.SampledFrom([]string{"long", "short", "long cut", "short cut", "header", "bytes"}).Draw(r, "kind") {
	case "long":
		return long(narrow, id)
	case "short":
		return short(narrow, id)
	case "long cut":
		whole := long(narrow, id)
		return whole[:rapid.IntRange(0, len(whole)).Draw(r, "length")]
	case "short cut":
		return short(narrow, id)[:rapid.IntRange(0, 4).Draw(r, "length")]
	case "header":
		return header(some.Draw(r, "source connection ID"))
	}
	return some.Draw(r, "bytes")
}

// Any datagram, and several encodings, with the identifier that it carries published and not.
func FuzzSteering(f *testing.F) {
	var ports []*port
	for _, e := range []cibir.Encoding{usual, narrow, {Length: 20}, {Length: 6, SourceOffset: 9, DestinationOffset: 9}, {Length: 1, SourceOffset: 254, DestinationOffset: 254}} {
		p := newPort(f, e)
		p.sockets(1)
		ports = append(ports, p)
		for i := range ports {
			f.Add(uint8(i), false, long(e, identifier(e.Length, 1)))
			f.Add(uint8(i), true, short(e, identifier(e.Length, 1)))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, v6 bool, datagram []byte) {
		const longest = 1<<16 - 1 - 20 - 8
		p := ports[int(which)%len(ports)]
		p.t = t
		id, verdict := p.g.Encoding().Find(datagram[:min(len(datagram), longest)])
		p.try(t, v6, datagram[:min(len(datagram), longest)], id, verdict)
	})
}

func (p *port) try(t *testing.T, v6 bool, datagram []byte, id cibir.ID, verdict cibir.Verdict) {
	t.Helper()
	family := families[0]
	if v6 {
		family = families[1]
	}
	want := map[cibir.Verdict]Counters{
		cibir.Found: {UnknownIdentifier: 1}, cibir.TooShort: {TooShort: 1}, cibir.NoIdentifier: {NoIdentifier: 1},
	}[verdict]
	if c := p.judge(family, datagram); c != want {
		t.Errorf("%x over %s was counted as %+v; the reference says %v", head(datagram), family, c, verdict)
	}
	if verdict == cibir.Found {
		fds := p.publish(1, id, 1)
		p.wantAt(fds, family, datagram)
		if err := p.g.Withdraw(1, id); err != nil {
			t.Error(err)
		}
		p.close(fds...)
	}
	p.wantSilence()
}

// Slots change hands, by withdrawal and by death, while datagrams for all their
// owners pour in: no socket ever gets one for another identifier.
func TestSlotsChangeHandsUnderLoad(t *testing.T) {
	p := newPort(t, narrow)
	p.sockets(1)
	stop := make(chan struct{})
	done := make(chan error)
	go func() { done <- p.pour(stop) }()
	before := p.counters()
	turn := 0
	for begin := time.Now(); time.Since(begin) < time.Second || turn < 10; turn++ {
		slot := uint32(turn % 2)
		id := identifier(1, 1+turn%fewIDs)
		fds := p.publish(slot, id, 1+turn%2)
		until(t, "a datagram arrives", func() bool { return p.drain(fds, id) > 0 })
		if turn%3 == 0 {
			if err := p.g.Withdraw(slot, id); err != nil {
				t.Fatal(err)
			}
		}
		p.drain(fds, id)
		p.close(fds...)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c := p.counters().minus(before)
	t.Logf("%d owners, %+v", turn, c)
	if c.NoSocket+c.NoIdentifier+c.TooShort != 0 {
		t.Errorf("%+v", c)
	}
	p.wantSilence()
}

// pour sends datagrams with every identifier until it is stopped.
func (p *port) pour(stop <-chan struct{}) error {
	to := address("v6")
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := unix.Sendto(p.v6, short(narrow, identifier(1, 1+i%fewIDs)), 0, to); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
}

// drain empties sockets, and fails on a datagram that has not their identifier.
func (p *port) drain(fds []int, id cibir.ID) (n int) {
	p.t.Helper()
	var b [64]byte
	for _, fd := range fds {
		for {
			length, _, err := unix.Recvfrom(fd, b[:], 0)
			if err != nil {
				break
			}
			n++
			if got, _ := narrow.Find(b[:length]); got != id {
				p.t.Fatalf("the socket of %v got a datagram of %v", id, got)
			}
		}
	}
	return n
}
