// SPDX-License-Identifier: MIT

package classifier

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// model is what the program should do, said more simply.
type model struct {
	local       map[netip.Addr]bool
	ports       map[uint16]Rule
	identifiers map[named]uint32
	sockets     map[place]bool
	paused      map[uint32]bool
	longest     int
}

type named struct {
	port uint16
	id   cibir.ID
}

type place struct{ slot, queue uint32 }

// arrival is a packet as it comes.
type arrival struct {
	packet  []byte
	first   int    // so many bytes of it are in the first piece; 0: all
	ingress int    // interface, where the queue is not the first
	queue   uint32 // of the interface
}

// judge says what becomes of a packet, and which slot gets it.
func (m *model) judge(a arrival) (reason Reason, slot uint32) {
	if a.first == 0 {
		a.first = len(a.packet)
	}
	switch binary.BigEndian.Uint16(a.packet[atEthertype:]) {
	case unix.ETH_P_IP:
		return m.judge4(a)
	case unix.ETH_P_IPV6:
		return m.judge6(a)
	case unix.ETH_P_8021Q, unix.ETH_P_8021AD:
		return Tagged, 0
	}
	return NotIP, 0
}

func (m *model) judge4(a arrival) (Reason, uint32) {
	ip := a.packet[atIP:a.first]
	if len(ip) < 20 || ip[0]>>4 != 4 {
		return Malformed, 0
	}
	header, total := 4*int(ip[0]&0xf), int(binary.BigEndian.Uint16(ip[2:]))
	if header < 20 || total < header {
		return Malformed, 0
	}
	if ip[9] != unix.IPPROTO_UDP {
		return NotUDP, 0
	}
	const moreFragments, fragmentOffset = 0x2000, 0x1fff
	if binary.BigEndian.Uint16(ip[6:])&(moreFragments|fragmentOffset) != 0 {
		return Fragment, 0
	}
	return m.judgeUDP(a, netip.AddrFrom4([4]byte(ip[16:])), atIP+header, atIP+total)
}

func (m *model) judge6(a arrival) (Reason, uint32) {
	ip := a.packet[atIP:a.first]
	if len(ip) < 40 || ip[0]>>4 != 6 {
		return Malformed, 0
	}
	to := netip.AddrFrom16([16]byte(ip[24:]))
	switch next := ip[6]; {
	case next == unix.IPPROTO_FRAGMENT:
		return Fragment, 0
	case slices.Contains([]byte{0, 43, 51, 60, 135}, next):
		return Extension, 0
	case next != unix.IPPROTO_UDP:
		return NotUDP, 0
	case to.Is4In6():
		return NotLocal, 0
	}
	return m.judgeUDP(a, to, atIP+40, atIP+40+int(binary.BigEndian.Uint16(ip[4:])))
}

// judgeUDP judges a packet with a UDP header at this offset, whose IP packet ends at that one.
func (m *model) judgeUDP(a arrival, to netip.Addr, header, end int) (Reason, uint32) {
	if a.first < header+8 {
		return Malformed, 0
	}
	udp := a.packet[header:]
	length := int(binary.BigEndian.Uint16(udp[atUDPLength:]))
	if length < 8 || header+length > end || end > len(a.packet) {
		return Malformed, 0
	}
	port := binary.BigEndian.Uint16(udp[atPort:])
	rule, ok := m.ports[port]
	switch {
	case !ok:
		return NoPort, 0
	case !m.local[to]:
		return NotLocal, 0
	case end > m.longest:
		return TooLong, 0
	}
	return m.find(port, rule, udp[8:length], a.queue)
}

func (m *model) find(port uint16, rule Rule, payload []byte, queue uint32) (Reason, uint32) {
	slot := rule.Slot
	if rule.Shared {
		id, verdict := rule.Encoding.Find(payload)
		if verdict != cibir.Found {
			return map[cibir.Verdict]Reason{cibir.TooShort: TooShort, cibir.NoIdentifier: NoIdentifier}[verdict], 0
		}
		var ok bool
		if slot, ok = m.identifiers[named{port, id}]; !ok {
			return UnknownIdentifier, 0
		}
	}
	switch {
	case queue >= MaxQueues:
		return NoSocket, 0
	case m.paused[queue]:
		return Paused, 0
	case !m.sockets[place{slot, queue}]:
		return NoSocket, 0
	}
	return Redirected, slot
}

// subject is a classifier and the model of it.
type subject struct {
	rapid.TB
	c  *Classifier
	fd int // an AF_XDP socket that is bound to no interface: the program can choose it, and that is all
	model
	counted [MaxQueues + 1]Counters
	got     map[uint32]uint64 // by slot
	values  []uint64
}

func newSubject(t testing.TB, o Options) *subject {
	t.Helper()
	s := &subject{TB: t, c: newClassifier(t, o), fd: newSocket(t), got: map[uint32]uint64{}, model: model{
		map[netip.Addr]bool{}, map[uint16]Rule{}, map[named]uint32{}, map[place]bool{}, map[uint32]bool{}, o.LongestPacket,
	}}
	if s.longest == 0 {
		s.longest = maxPacket
	}
	return s
}

func (s *subject) setAddresses(list ...netip.Addr) {
	s.Helper()
	clear(s.local)
	for _, a := range list {
		s.local[a] = true
	}
	check(s, s.c.SetAddresses(list))
}

func (s *subject) takePort(port uint16, r Rule) {
	s.Helper()
	s.ports[port] = r
	check(s, s.c.TakePort(port, r))
}

func (s *subject) deletePort(port uint16) {
	s.Helper()
	check(s, s.c.DeletePort(port, s.ports[port]))
	delete(s.ports, port)
}

func (s *subject) putIdentifier(port uint16, id cibir.ID, slot uint32) {
	s.Helper()
	s.identifiers[named{port, id}] = slot
	check(s, s.c.PutIdentifier(port, id, slot))
}

func (s *subject) deleteIdentifier(port uint16, id cibir.ID) {
	s.Helper()
	check(s, s.c.DeleteIdentifier(port, id, s.identifiers[named{port, id}]))
	delete(s.identifiers, named{port, id})
}

func (s *subject) putSocket(slot, queue uint32) {
	s.Helper()
	s.sockets[place{slot, queue}] = true
	check(s, s.c.PutSocket(slot, queue, s.fd))
}

func (s *subject) deleteSocket(slot, queue uint32) {
	s.Helper()
	delete(s.sockets, place{slot, queue})
	check(s, s.c.DeleteSocket(slot, queue))
}

func (s *subject) pause(queue uint32) {
	s.Helper()
	s.paused[queue] = true
	check(s, s.c.Pause(queue))
}

func (s *subject) resume(queue uint32) {
	s.Helper()
	delete(s.paused, queue)
	check(s, s.c.Resume(queue))
}

const ( // what the program returns
	pass     = 2
	redirect = 4
)

// run lets the program judge a packet.
func (s *subject) run(a arrival) (code uint32) {
	s.Helper()
	o := ebpf.RunOptions{Data: a.packet, Repeat: 1}
	if a.first != 0 || a.ingress != 0 {
		end := a.first // of the first piece; where more may follow since Linux 6.18
		if end == 0 {
			end = len(a.packet)
		}
		o.Context = &struct{ data, end, meta, ingress, queue, egress uint32 }{ // xdp_md
			end: uint32(end), ingress: uint32(a.ingress), queue: a.queue,
		}
	}
	code, err := s.c.objects.MsquicxdpClassify.Run(&o)
	if err != nil {
		s.Fatalf("%d bytes, %+v: %v", len(a.packet), o.Context, err)
	}
	return code
}

// try lets the program judge a packet that comes in one piece by the first queue.
func (s *subject) try(packet []byte) Reason {
	s.Helper()
	return s.tryArrival(arrival{packet: packet})
}

// tryArrival lets the program judge a packet, and fails unless it does what the model does.
func (s *subject) tryArrival(a arrival) Reason {
	s.Helper()
	want, slot := s.judge(a)
	queue := min(a.queue, MaxQueues)
	s.counted[queue][want]++
	code, counted := s.run(a), s.read(s.c.objects.Verdicts, queue*uint32(Reasons)+uint32(want))
	right := code == pass && counted == s.counted[queue][want]
	if want == Redirected {
		s.got[slot]++
		right = code == redirect && counted == s.counted[queue][want] && s.read(s.c.objects.Redirected, slot) == s.got[slot]
	}
	if !right {
		s.Fatalf("%x (%d bytes, %d in the first piece, queue %d of %d):\ncode %d, counted as %v; want %v, slot %d to have got %d",
			head(a.packet), len(a.packet), a.first, a.queue, a.ingress, code, s.again(a), want, slot, s.got[slot])
	}
	return want
}

func head(packet []byte) []byte { return packet[:min(len(packet), 200)] }

// want lets the program judge a packet, and fails unless it does what the model does, which must be this.
func (s *subject) want(reason Reason, packet []byte) {
	s.Helper()
	if got := s.try(packet); got != reason {
		s.Errorf("%x: %v, want %v", head(packet), got, reason)
	}
}

// read reads what all CPUs have counted.
func (s *subject) read(m *ebpf.Map, index uint32) uint64 {
	s.Helper()
	check(s, m.Lookup(index, &s.values))
	return sum(s.values)
}

// again judges a packet once more, and says how it is counted.
func (s *subject) again(a arrival) (counted map[Reason]uint64) {
	before := s.counters()
	s.run(a)
	counted = map[Reason]uint64{}
	for reason, n := range s.counters() {
		if n != before[reason] {
			counted[Reason(reason)] = n - before[reason]
		}
	}
	return counted
}

func (s *subject) counters() Counters {
	s.Helper()
	total, _, err := s.c.Counters()
	check(s, err)
	return total
}

// wantCounted fails unless every packet has been counted once, where it was to be.
func (s *subject) wantCounted() {
	s.Helper()
	_, queues, err := s.c.Counters()
	check(s, err)
	for queue, counted := range queues {
		if counted != s.counted[queue] {
			s.Errorf("queue %d: counted %v, want %v", queue, counted, s.counted[queue])
		}
	}
	for slot := range uint32(MaxSlots) {
		if got := s.read(s.c.objects.Redirected, slot); got != s.got[slot] {
			s.Errorf("slot %d has got %d, want %d", slot, got, s.got[slot])
		}
	}
}
