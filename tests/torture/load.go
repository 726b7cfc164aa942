// SPDX-License-Identifier: MIT

package torture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// The datagrams are explained in server/datagram.h.
const (
	atIdentifier = 1 + 2 // in the connection ID
	atKind       = 17
	atSigned     = 18
	atProcess    = 20
	atSequence   = 24
	atPattern    = 32
	mostDatagram = 1200
)

// lateness is when a question that has no answer is lost.
const lateness = 5 * time.Second

// stream sends questions to one identifier, and checks the answers.
type stream struct {
	c       *Conductor
	id      identifier
	rate    int // a second
	conns   [2]*net.UDPConn
	extra   atomic.Bool // over IPv4 to the extra address as well
	pause   atomic.Bool
	stopped chan struct{}
	work    sync.WaitGroup

	mu       sync.Mutex
	sequence uint64
	asked    map[uint64]question // without an answer
	owners   []owner
	answered uint64
	last     time.Time // of answers
	lost     []question
}

// question is one that was asked.
type question struct {
	at time.Time
	to netip.Addr
}

// owner is a process that has, or had, the identifier. until is zero while it has.
type owner struct {
	pid         int
	from, until time.Time
	weather     *weather
}

func (c *Conductor) newStream(id identifier, rate int) (*stream, error) {
	s := &stream{c: c, id: id, rate: rate, asked: map[uint64]question{}, stopped: make(chan struct{})}
	err := c.net.Client.Do(func() (err error) {
		for i, a := range clientAddrs {
			s.conns[i], err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
			if err != nil {
				return err
			}
			_ = s.conns[i].SetReadBuffer(1 << 22)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, conn := range s.conns {
		s.work.Go(func() { s.receive(conn) })
	}
	s.work.Go(s.send)
	return s, nil
}

func (s *stream) close() {
	close(s.stopped)
	for _, c := range s.conns {
		c.Close()
	}
	s.work.Wait()
}

// ---- who has it ----

// own says that a process is about to take the identifier. What disturbs it is exempt.
func (s *stream) own(pid int, w *weather) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners = append(s.owners, owner{pid: pid, from: time.Now(), weather: w})
}

// ownWhoStarts is own for a process that start starts. Until it is known who that is no answers are
// looked at.
func (s *stream) ownWhoStarts(start func() (pid int, err error), w *weather) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	pid, err := start()
	if err == nil {
		s.owners = append(s.owners, owner{pid: pid, from: time.Now(), weather: w})
	}
	return err
}

// settle says that it has it now.
func (s *stream) settle(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.owners {
		if o := &s.owners[i]; o.pid == pid && o.until.IsZero() {
			o.from = time.Now()
		}
	}
}

// disown says that a process has it no more.
func (s *stream) disown(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.owners {
		if o := &s.owners[i]; o.pid == pid && o.until.IsZero() {
			o.until = time.Now()
		}
	}
	if n := len(s.owners); n > 64 {
		s.owners = append(s.owners[:0], s.owners[n-32:]...)
	}
}

// owned reports whether a process had it at some time since. The caller has mu.
func (s *stream) owned(pid int, since time.Time) bool {
	for _, o := range s.owners {
		if o.pid == pid && (o.until.IsZero() || o.until.After(since)) {
			return true
		}
	}
	return false
}

// ---- questions ----

func (s *stream) send() {
	b := make([]byte, mostDatagram)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	begin, sent := time.Now(), 0
	for {
		select {
		case <-s.stopped:
			return
		case <-tick.C:
		}
		if s.pause.Load() {
			begin, sent = time.Now(), 0
			continue
		}
		due := int(time.Since(begin).Seconds() * float64(s.rate))
		if due-sent > s.rate/20 { // we were held up: no flood
			begin, sent, due = time.Now(), 0, 1
		}
		for ; sent < due; sent++ {
			s.ask(b)
		}
		s.overdue()
	}
}

func (s *stream) ask(b []byte) {
	s.mu.Lock()
	s.sequence++
	n := s.sequence
	v := n % 2
	to := serverAddrs[v]
	if v == 0 && n%4 == 0 && s.extra.Load() {
		to = extraAddr
	}
	s.asked[n] = question{time.Now(), to}
	s.mu.Unlock()
	_, err := s.conns[v].WriteToUDPAddrPort(s.write(b, n), target(to))
	if err != nil { // the link is down, say: it was never sent
		s.mu.Lock()
		delete(s.asked, n)
		s.mu.Unlock()
		return
	}
	s.c.packets.Add(1)
}

// write makes a question. What is in it follows from the sequence number.
func (s *stream) write(b []byte, n uint64) []byte {
	b = b[:lengthOf(n)]
	clear(b[:atPattern])
	b[0] = 0x40
	copy(b[atIdentifier:], s.id[:])
	b[atKind] = 'q'
	binary.BigEndian.PutUint64(b[atSequence:], n)
	fill(b[atPattern:], n)
	return b
}

func lengthOf(n uint64) int {
	return atPattern + int(n*0x9e3779b97f4a7c15>>32)%(mostDatagram-atPattern)
}

func fill(b []byte, seed uint64) {
	x := seed*0x9e3779b97f4a7c15 | 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 56)
	}
}

// ---- answers ----

func (s *stream) receive(conn *net.UDPConn) {
	b, want := make([]byte, 1<<16), make([]byte, mostDatagram)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if err := s.check(b[:n], want, from); err != nil {
			s.c.violate("%v", err)
		}
	}
}

var errMisrouted = errors.New("misrouted")

// check looks at an answer. It is the question, but for who signed it.
func (s *stream) check(b, want []byte, from netip.AddrPort) error {
	if len(b) < atPattern || b[0] != 0x40 || b[atKind] != 'a' {
		return fmt.Errorf("wrong bytes: identifier %v: %d bytes from %v are no answer", s.id, len(b), from)
	}
	n := binary.BigEndian.Uint64(b[atSequence:])
	pid := int(binary.BigEndian.Uint32(b[atProcess:]))
	signed := identifier(b[atSigned : atSigned+2])
	s.mu.Lock()
	defer s.mu.Unlock()
	if n == 0 || n > s.sequence {
		return fmt.Errorf("wrong bytes: identifier %v: an answer to question %d of %d", s.id, n, s.sequence)
	}
	q, open := s.asked[n]
	if signed != s.id || open && !s.owned(pid, q.at) {
		return fmt.Errorf("%w: question %d to %v was answered by process %d for %v", errMisrouted, n, s.id, pid, signed)
	}
	want = s.write(want, n)
	copy(want[atKind:atSequence], b[atKind:atSequence])
	if string(want) != string(b) {
		return fmt.Errorf("wrong bytes: the answer of process %d to question %d to %v, from %v", pid, n, s.id, from)
	}
	if !open {
		return nil // later than lateness, or a second one: UDP may
	}
	delete(s.asked, n)
	s.answered++
	s.last = time.Now()
	return nil
}

// overdue gives up questions, and remembers those that should have been answered.
func (s *stream) overdue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rand.IntN(64) != 0 { // now and then is enough
		return
	}
	now := time.Now()
	for n, q := range s.asked {
		if now.Sub(q.at) < lateness {
			continue
		}
		delete(s.asked, n)
		if s.undisturbed(q.at) {
			s.lost = append(s.lost, q)
		}
	}
}

// takeLost returns what has been lost since it was last asked for.
func (s *stream) takeLost() []question {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.lost
	s.lost = nil
	return lost
}

// undisturbed reports whether somebody had the identifier, and was not disturbed, from shortly
// before a moment to a little after it. The caller has mu.
func (s *stream) undisturbed(at time.Time) bool {
	until := at.Add(50 * time.Millisecond)
	if !s.c.weather.clear(at, until) {
		return false
	}
	for _, o := range s.owners {
		if o.from.Before(at.Add(-beforeStorm)) && (o.until.IsZero() || o.until.After(until)) {
			return o.weather.clear(at, until)
		}
	}
	return false
}

// starving returns for how long an identifier that somebody has, who is not disturbed, has had no
// answer; 0 if it has.
func (s *stream) starving() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pause.Load() || len(s.owners) == 0 {
		return 0
	}
	o := s.owners[len(s.owners)-1]
	if !o.until.IsZero() {
		return 0
	}
	since := s.last
	for _, t := range []time.Time{o.from, o.weather.since(), s.c.weather.since(), s.c.resumed()} {
		if t.After(since) {
			since = t
		}
	}
	return time.Since(since)
}

// waits reports whether there are questions that may still be answered.
func (s *stream) waits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.asked {
		if s.undisturbed(q.at) {
			return true
		}
	}
	return false
}

// dropped is how many answers our own sockets had no room for.
func (s *stream) dropped() (n uint64) {
	for _, conn := range s.conns {
		raw, err := conn.SyscallConn()
		if err != nil {
			continue
		}
		_ = raw.Control(func(fd uintptr) {
			if drops, err := dropsOf(int(fd)); err == nil {
				n += uint64(drops)
			}
		})
	}
	return n
}
