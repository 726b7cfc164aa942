// SPDX-License-Identifier: MIT

package classifier

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// The few of everything that random histories play with, so that they meet.
var (
	fewPorts     = []uint16{443, 444, 0x1234, 0x3412}
	fewSlots     = []uint32{0, 1, lastSlot}
	fewAddresses = []netip.Addr{here4, here6, there4, there6}
	fewEncodings = []cibir.Encoding{{Length: 1}, usual, {Length: 6}, {Length: 8, SourceOffset: 1, DestinationOffset: 0}, {Length: 9, SourceOffset: 3, DestinationOffset: 3}, {Length: 20, DestinationOffset: 5}}
)

// history is a subject to which things happen at random.
type history struct{ *subject }

// Packets of all kinds while rules, members and addresses come and go: the program does what the model does.
func TestHistories(t *testing.T) {
	s := newSubject(t, Options{LongestPacket: 300})
	rapid.Check(t, s.history(t))
	s.TB = t
	s.wantCounted()
}

// The same, in orders that the fuzzer finds.
func FuzzHistory(f *testing.F) {
	s := newSubject(f, Options{LongestPacket: 300})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, order []byte) {
		defer func() { s.TB = f }()
		rapid.MakeFuzz(s.history(t))(t, order)
	})
}

// history lets everything happen that can, in random order.
func (s *subject) history(t testing.TB) func(*rapid.T) {
	return func(r *rapid.T) {
		s.TB = r
		defer s.reset(t)
		h := history{s}
		h.begin()
		r.Repeat(map[string]func(*rapid.T){
			"":                  func(r *rapid.T) { s.TB = r },
			"packet":            h.packet,
			"packet again":      h.packet, // the most frequent
			"put port":          h.putPort,
			"take port":         h.takePort,
			"delete port":       h.deletePort,
			"put identifier":    h.putIdentifier,
			"take identifier":   h.takeIdentifier,
			"delete identifier": h.deleteIdentifier,
			"socket":            h.socket,
			"addresses":         h.addresses,
			"pause":             h.pause,
			"clear slot":        h.clearSlot,
		})
	}
}

// begin makes a packet likely to find somebody.
func (h history) begin() {
	h.setAddresses(here...)
	h.subject.takePort(fewPorts[0], Exclusive(fewSlots[0]))
	h.subject.takePort(fewPorts[2], Shared(usual))
	h.subject.putIdentifier(fewPorts[2], identifier(usual.Length, 1), fewSlots[2])
	for _, slot := range fewSlots {
		h.putSocket(slot, 0)
	}
}

// reset makes the subject as it was at the start.
func (s *subject) reset(t testing.TB) {
	s.TB = t
	for port := range s.ports {
		s.deletePort(port)
	}
	for n := range s.identifiers {
		s.deleteIdentifier(n.port, n.id)
	}
	for p := range s.sockets {
		s.deleteSocket(p.slot, p.queue)
	}
	s.resume(0)
}

func (h history) drawRule(r *rapid.T) Rule {
	if rapid.Bool().Draw(r, "shared") {
		return Shared(rapid.SampledFrom(fewEncodings).Draw(r, "encoding"))
	}
	return Exclusive(rapid.SampledFrom(fewSlots).Draw(r, "slot"))
}

func drawPort(r *rapid.T) uint16 { return rapid.SampledFrom(fewPorts).Draw(r, "port") }

func drawSlot(r *rapid.T) uint32 { return rapid.SampledFrom(fewSlots).Draw(r, "slot") }

func drawIdentifier(r *rapid.T) cibir.ID {
	return identifier(rapid.SampledFrom(fewEncodings).Draw(r, "encoding").Length, rapid.IntRange(0, 3).Draw(r, "id"))
}

func (h history) putPort(r *rapid.T) {
	port, rule := drawPort(r), h.drawRule(r)
	err := h.c.PutPort(port, rule)
	if held, ok := h.ports[port]; ok && held != rule {
		wantTaken(r, err, portName(port), held.String())
		return
	}
	check(r, err)
	h.ports[port] = rule
}

func (h history) takePort(r *rapid.T) { h.subject.takePort(drawPort(r), h.drawRule(r)) }

func (h history) deletePort(r *rapid.T) {
	port, rule := drawPort(r), h.drawRule(r)
	if rapid.Bool().Draw(r, "the one that is there") {
		if held, ok := h.ports[port]; ok {
			rule = held
		}
	}
	check(r, h.c.DeletePort(port, rule))
	if h.ports[port] == rule {
		delete(h.ports, port)
	}
}

func (h history) putIdentifier(r *rapid.T) {
	port, id, slot := drawPort(r), drawIdentifier(r), drawSlot(r)
	err := h.c.PutIdentifier(port, id, slot)
	if held, ok := h.identifiers[named{port, id}]; ok && held != slot {
		wantError(r, err, unix.EEXIST, identifierName(port, id))
		return
	}
	check(r, err)
	h.identifiers[named{port, id}] = slot
}

func (h history) takeIdentifier(r *rapid.T) {
	port, id, slot := drawPort(r), drawIdentifier(r), drawSlot(r)
	check(r, h.c.TakeIdentifier(port, id, slot))
	h.identifiers[named{port, id}] = slot
}

func (h history) deleteIdentifier(r *rapid.T) {
	port, id, slot := drawPort(r), drawIdentifier(r), drawSlot(r)
	check(r, h.c.DeleteIdentifier(port, id, slot))
	if held, ok := h.identifiers[named{port, id}]; ok && held == slot {
		delete(h.identifiers, named{port, id})
	}
}

func (h history) socket(r *rapid.T) {
	slot := drawSlot(r)
	if h.sockets[place{slot, 0}] {
		h.deleteSocket(slot, 0)
	} else {
		h.putSocket(slot, 0)
	}
}

func (h history) addresses(r *rapid.T) {
	h.setAddresses(rapid.SliceOfDistinct(rapid.SampledFrom(fewAddresses), netip.Addr.String).Draw(r, "addresses")...)
}

func (h history) pause(*rapid.T) {
	if h.paused[0] {
		h.resume(0)
	} else {
		h.subject.pause(0)
	}
}

func (h history) clearSlot(r *rapid.T) {
	slot := drawSlot(r)
	check(r, h.c.ClearSlot(slot))
	delete(h.sockets, place{slot, 0})
	maps.DeleteFunc(h.ports, func(_ uint16, rule Rule) bool { return rule == Exclusive(slot) })
	maps.DeleteFunc(h.identifiers, func(_ named, held uint32) bool { return held == slot })
}

func (h history) packet(r *rapid.T) {
	p := drawPacket(r)
	if rapid.IntRange(0, 3).Draw(r, "damage") == 0 {
		p = with(p, rapid.IntRange(atEthertype, len(p)-1).Draw(r, "at"), rapid.Byte().Draw(r, "byte"))
	}
	if rapid.IntRange(0, 3).Draw(r, "cut") == 0 {
		p = p[:rapid.IntRange(atIP, len(p)).Draw(r, "length")]
	}
	a := arrival{packet: p}
	if rapid.Bool().Draw(r, "in pieces") && len(p) > atIP+1 {
		a.first = rapid.IntRange(atIP, len(p)-1).Draw(r, "first piece")
	}
	h.tryArrival(a)
}

// drawPacket draws one that somebody may want.
func drawPacket(r *rapid.T) []byte {
	e := rapid.SampledFrom(fewEncodings).Draw(r, "encoding")
	id := identifier(e.Length, rapid.IntRange(0, 3).Draw(r, "id"))
	var payload []byte
	switch rapid.SampledFrom([]string{"long", "short", "header", "bytes", "many bytes"}).Draw(r, "payload") {
	case "long":
		payload = long(e, id)
	case "short":
		payload = short(e, id)
	case "header":
		source := rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(r, "source connection ID")
		payload = header(rapid.IntRange(0, 255).Draw(r, "destination connection ID"), source)
	case "bytes":
		payload = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(r, "bytes")
	case "many bytes":
		payload = make([]byte, rapid.IntRange(220, 280).Draw(r, "length"))
	}
	to, port := rapid.SampledFrom(fewAddresses).Draw(r, "to"), drawPort(r)
	if to.Is6() {
		return ipv6(to, unix.IPPROTO_UDP, udp(port, payload))
	}
	options := rapid.SampledFrom([]int{0, 0, 0, 4, 40}).Draw(r, "options")
	return ipv4(to, unix.IPPROTO_UDP, make([]byte, options), udp(port, payload))
}

// Any packet, in pieces or in one.
func FuzzDecision(f *testing.F) {
	s := newHost(f)
	for i, e := range fewEncodings {
		s.takePort(uint16(i), Shared(e))
		s.putIdentifier(uint16(i), identifier(e.Length, 1), busySlot)
		for _, to := range here {
			f.Add(packet(to, uint16(i), long(e, identifier(e.Length, 1))), uint16(0))
			f.Add(packet(to, uint16(i), short(e, identifier(e.Length, 1))), uint16(50))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(accepted())) {
		f.Add(accepted()[name], uint16(20))
	}
	f.Fuzz(func(t *testing.T, packet []byte, first uint16) {
		const shortest, longest = atIP, 9000 // that the kernel takes
		if len(packet) < shortest || len(packet) > longest {
			return
		}
		s.TB = t
		a := arrival{packet: packet}
		if n := int(first); n >= shortest && n < min(len(packet), 3000) {
			a.first = n
		}
		s.tryArrival(a)
		s.TB = f
	})
}
