// SPDX-License-Identifier: MIT

package pool

import (
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tortureEnv says how long to torture, as a duration.
const tortureEnv = "POOL_TORTURE"

// stream sends numbered packets to slots in turn.
type stream struct {
	w       *wire
	slots   atomic.Pointer[[]uint32]
	numbers [testSlots]uint64
	sent    atomic.Uint64
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
}

func (w *wire) stream(rate int) *stream {
	s := &stream{w: w, stop: make(chan struct{}), stopped: make(chan struct{})}
	s.slots.Store(new([]uint32))
	go s.run(rate)
	w.Cleanup(s.end)
	return s
}

func (s *stream) run(rate int) {
	defer close(s.stopped)
	start := time.Now()
	sent := uint64(0)
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		due := uint64(time.Since(start).Seconds() * float64(rate))
		slots := *s.slots.Load()
		if due <= sent || len(slots) == 0 {
			time.Sleep(200 * time.Microsecond)
			if len(slots) == 0 {
				start, sent = time.Now(), 0
			}
			continue
		}
		for range min(due-sent, 64) {
			slot := slots[sent%uint64(len(slots))]
			s.numbers[slot]++
			if _, err := unix.Write(s.w.sender, packet(slot, s.numbers[slot], 1294)); err != nil {
				s.w.Error(err)
			}
			sent++
			s.sent.Add(1)
		}
	}
}

func (s *stream) to(slots []uint32) { s.slots.Store(&slots) }

func (s *stream) end() {
	s.once.Do(func() { close(s.stop) })
	<-s.stopped
}

// sink is a member at the left end, who receives what those at the right end send.
type sink struct {
	w      *wire
	member *Member
	queue  *Queue
	came   [MaxSlots]atomic.Uint64 // packets, by sender
	last   [MaxSlots]uint64        // number
	stop   chan struct{}
	work   sync.WaitGroup
}

func (w *wire) drain() *sink {
	w.Helper()
	s := &sink{w: w, stop: make(chan struct{})}
	left := *w
	left.right = w.left
	s.member = left.open()
	s.queue = left.join(s.member, Options{Members: 1, Ring: 4096, Spare: 4096})
	s.work.Go(s.receive)
	w.Cleanup(s.end)
	return s
}

func (s *sink) receive() {
	buf := make([]byte, chunkSize)
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		_ = s.queue.poll(10 * time.Millisecond)
		for n := s.queue.Peek(MaxTurn); n > 0; n = s.queue.Peek(MaxTurn) {
			for i := range n {
				s.note(buf[:copy(buf, s.queue.Packet(i))])
			}
			s.queue.Release()
		}
	}
}

// note wants the packets of a sender to be whole and in order.
func (s *sink) note(p []byte) {
	sender, n := number(p)>>48, number(p)&(1<<48-1)
	if !whole(p) || mark(p) != s.member.Slot() || n <= s.last[sender] && n != 1 {
		s.w.Errorf("slot %d sent packet %d after %d, whole: %v", sender, n, s.last[sender], whole(p))
	}
	s.last[sender] = n
	s.came[sender].Add(1)
}

func (s *sink) of(slot uint32) uint64 { return s.came[slot].Load() }

// full counts the packets that have not found room.
func (s *sink) full() uint64 {
	k, err := s.queue.Statistics()
	if err != nil {
		s.w.Error(err)
	}
	return k.RXRingFull + k.RXDropped
}

func (s *sink) end() {
	select {
	case <-s.stop:
	default:
		close(s.stop)
		s.work.Wait()
	}
}

func slotsOf(children []*child) (slots []uint32) {
	for _, c := range children {
		slots = append(slots, c.slot)
	}
	return slots
}

func TestNobodyLosesWhenOthersDieOrStop(t *testing.T) {
	for _, members := range []int{2, 8} {
		torture(t, members)
	}
}

func torture(t *testing.T, members int) {
	w := newWire(t)
	length := 2 * time.Second
	if text := os.Getenv(tortureEnv); text != "" {
		length, _ = time.ParseDuration(text)
	}
	sink := w.drain()
	j := job{Rate: 2000, To: sink.member.Slot()}
	// The witness is never hurt. It must not lose a packet.
	witness := w.spawn(j)
	var victims []*child
	for len(victims) < members-1 {
		victims = append(victims, w.spawn(j))
	}
	s := w.stream(40000)
	s.to(slotsOf(append(victims, witness)))
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	kills, stops, leaves := 0, 0, 0
	for end := time.Now().Add(length); time.Now().Before(end); {
		i := random.IntN(len(victims))
		v := victims[i]
		switch random.IntN(10) {
		case 0, 1, 2, 3:
			kills++
			v.kill()
			victims[i] = w.spawn(j)
			s.to(slotsOf(append(victims, witness)))
		case 4, 5, 6:
			stops++
			v.signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
			if random.IntN(2) == 0 {
				v.kill()
				victims[i] = w.spawn(j)
				s.to(slotsOf(append(victims, witness)))
				kills++
			} else {
				v.signal(syscall.SIGCONT)
			}
		case 7:
			leaves++
			v.do("leave")
			v.do("join")
		default:
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		}
	}
	s.end()
	time.Sleep(200 * time.Millisecond)
	r := witness.do("audit")
	t.Logf("%d kills, %d stops, %d leaves, %d packets: %v", kills, stops, leaves, s.sent.Load(), r.Census)
	t.Logf("witness %+v", r)
	if r.Census.Missing > 1 || r.Census.Twice != 0 {
		t.Error("chunks do not add up")
	}
	if want := s.numbers[witness.slot]; r.Last != want {
		t.Errorf("the witness got packet %d last, want %d", r.Last, want)
	}
	if r.Missed != r.Kernel.RXRingFull || r.Wrong+r.Behind != 0 || r.Kernel.FillEmpty != 0 {
		t.Errorf("the witness lost packets")
	}
	r = witness.do("hush")
	came := func() bool { return sink.of(witness.slot) == r.Sent-r.Counters.Dropped-sink.full() }
	for end := time.Now().Add(10 * time.Second); !came() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	sink.end()
	if !came() {
		t.Errorf("of %d packets of the witness %d came, the device dropped %d, and rings %d", r.Sent, sink.of(witness.slot), r.Counters.Dropped, sink.full())
	}
	for _, v := range victims {
		r := v.do("stat")
		t.Logf("slot %d: received %d missed %d full %d wrong %d behind %d recoveries %d slowest %v", r.Slot, r.Received, r.Missed, r.Kernel.RXRingFull, r.Wrong, r.Behind, r.Recoveries, r.Slowest)
		v.end()
	}
	witness.end()
}
