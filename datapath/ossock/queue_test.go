// SPDX-License-Identifier: MIT

package ossock

import (
	"encoding/binary"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
)

// pipe is an endpoint whose kernel socket is full after a few datagrams, and
// has room again when the other end is read: one of a pair of unix sockets.
// UDP sockets on one machine practically never fill.
type pipe struct {
	ep    *batch.Endpoint
	far   int
	queue int // epoll
}

func newPipe(t rapid.TB) *pipe {
	t.Helper()
	queue, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil { // the kernel's minimum
		t.Fatal(err)
	}
	p := &pipe{ep: blocktest.NewEndpoint(queue), far: pair[1], queue: queue}
	p.ep.FD, p.ep.Kind = int32(pair[0]), batch.KindUDP
	p.ep.IsV4, p.ep.Connected = true, true // so that a send names no address
	return p
}

// close returns the sends that still waited.
func (p *pipe) close() (waiting *batch.Tx) {
	Quiesce(p.ep)
	waiting = Close(p.ep)
	unix.Close(p.far)
	unix.Close(p.queue)
	return waiting
}

// numbered makes a send of datagrams that carry these numbers.
func numbered(t rapid.TB, numbers ...int) *batch.Tx {
	t.Helper()
	list := make([][]byte, len(numbers))
	for i, n := range numbers {
		list[i] = binary.NativeEndian.AppendUint32(nil, uint32(n))
		list[i] = append(list[i], make([]byte, n%3*200)...)
	}
	return blocktest.NewTx(t, 0, list...)
}

// read takes one number from the far end; false when it is empty.
func (p *pipe) read(t rapid.TB) (number int, ok bool) {
	t.Helper()
	var buf [2048]byte
	n, _, err := unix.Recvfrom(p.far, buf[:], unix.MSG_DONTWAIT)
	if err == unix.EAGAIN {
		return 0, false
	}
	if err != nil || n < 4 {
		t.Fatalf("read %d bytes: %v", n, err)
	}
	return int(binary.NativeEndian.Uint32(buf[:])), true
}

// turn serves what epoll reports now, and returns what left the queue.
func (p *pipe) turn(t rapid.TB, timeout int) (done *batch.Tx, events uint32) {
	t.Helper()
	var list [1]unix.EpollEvent
	n, err := unix.EpollWait(p.queue, list[:], timeout)
	if err != nil && err != unix.EINTR {
		t.Fatal(err)
	}
	if n <= 0 {
		return nil, 0
	}
	turn := batch.Turn{Events: list[0].Events}
	Turn(p.ep, &turn)
	return turn.Done, list[0].Events
}

// fill queues one send and returns it, with those that the kernel took before.
func (p *pipe) fill(t rapid.TB, first int) (waiting *batch.Tx, sent int) {
	t.Helper()
	for sent = 0; ; sent++ {
		tx := numbered(t, first+sent)
		switch status := Send(p.ep, tx); {
		case status == batch.SendQueued:
			return tx, sent
		case status != 0 || sent > 1000:
			t.Fatalf("send %d: status %d", sent, status)
		}
	}
}

// queueModel checks every step against what must hold whatever the order of things.
type queueModel struct {
	pipe     *pipe
	next     int         // number of the next datagram
	received int         // numbers seen at the far end, in order
	waiting  []*batch.Tx // queued and not done, oldest first
	watching bool
}

func (m *queueModel) Send(t *rapid.T) {
	numbers := make([]int, rapid.IntRange(1, 5).Draw(t, "datagrams"))
	for i := range numbers {
		numbers[i] = m.next
		m.next++
	}
	tx := numbered(t, numbers...)
	tx.Next = &batch.Tx{} // a recycled block
	switch status := Send(m.pipe.ep, tx); status {
	case batch.SendQueued:
		m.waiting = append(m.waiting, tx)
	case 0:
		if len(m.waiting) != 0 {
			t.Error("a send overtook those that wait")
		}
	default:
		t.Errorf("status %d", status)
	}
}

func (m *queueModel) Read(t *rapid.T) {
	for range rapid.IntRange(1, 12).Draw(t, "reads") {
		number, ok := m.pipe.read(t)
		if !ok {
			return
		}
		if number != m.received {
			t.Fatalf("datagram %d came where %d was due", number, m.received)
		}
		m.received++
	}
}

func (m *queueModel) Watch(t *rapid.T) {
	if m.watching {
		t.Skip("once is enough")
	}
	m.watching = true
	if err := Watch(m.pipe.ep); err != nil {
		t.Fatal(err)
	}
}

func (m *queueModel) Turn(t *rapid.T) {
	done, events := m.pipe.turn(t, 0)
	if events&unix.EPOLLOUT == 0 && done != nil {
		t.Error("sends left the queue without an event")
	}
	for tx := done; tx != nil; tx = tx.Next {
		if len(m.waiting) == 0 || m.waiting[0] != tx {
			t.Fatal("a send is done that is not the oldest")
		}
		if tx.Status != 0 {
			t.Errorf("status %d", tx.Status)
		}
		m.waiting = m.waiting[1:]
	}
}

// TurnForInput has no business with the queue.
func (m *queueModel) TurnForInput(t *rapid.T) {
	turn := batch.Turn{Events: unix.EPOLLIN}
	if Turn(m.pipe.ep, &turn); turn.Done != nil {
		t.Error("sends left the queue")
	}
}

func (m *queueModel) Check(t *rapid.T) {
	ep := m.pipe.ep
	if got := int(ep.Queued.Load()); got != len(m.waiting) {
		t.Errorf("%d sends queued, %d wait", got, len(m.waiting))
	}
	n := 0
	var last *batch.Tx
	for tx := ep.QueueHead; tx != nil; tx = tx.Next {
		if n >= len(m.waiting) || tx != m.waiting[n] {
			t.Fatalf("the queue differs from what was queued at %d", n)
		}
		n, last = n+1, tx
	}
	if n != len(m.waiting) || ep.QueueTail != last {
		t.Errorf("the queue has %d sends, %d wait; its tail is the last: %v", n, len(m.waiting), ep.QueueTail == last)
	}
	want := uint32(unix.EPOLLIN)
	if n != 0 {
		want |= unix.EPOLLOUT
	}
	if m.watching {
		wantWatched(t, ep, want)
	} else if _, ok := watched(t, ep); ok {
		t.Error("watched before Watch")
	}
}

// finish lets all that was sent come out.
func (m *queueModel) finish(t *rapid.T) {
	if !m.watching {
		m.Watch(t)
	}
	for turns := 0; m.received < m.next; turns++ {
		if number, ok := m.pipe.read(t); ok {
			if number != m.received {
				t.Fatalf("datagram %d came where %d was due", number, m.received)
			}
			m.received++
			continue
		}
		if turns > 10000 {
			t.Fatalf("%d of %d datagrams came; the others are lost", m.received, m.next)
		}
		m.Turn(t)
		m.Check(t)
	}
	m.Turn(t)
	if number, ok := m.pipe.read(t); ok {
		t.Errorf("datagram %d came twice", number)
	}
	m.Check(t)
	if len(m.waiting) != 0 {
		t.Errorf("%d sends were never done", len(m.waiting))
	}
}

// Nothing is lost, doubled or overtaken, and EPOLLOUT is watched for if and
// only if something waits.
func TestQueueProperty(t *testing.T) {
	newHost(t)
	rapid.Check(t, func(t *rapid.T) {
		m := &queueModel{pipe: newPipe(t)}
		defer m.pipe.close()
		t.Repeat(map[string]func(*rapid.T){
			"": m.Check, "send": m.Send, "send again": m.Send, "read": m.Read, "watch": m.Watch, "turn": m.Turn, "turn for input": m.TurnForInput,
		})
		m.finish(t)
	})
}

// A send of several datagrams goes on where it stopped.
func TestSendThatIsHalfOutGoesOn(t *testing.T) {
	p := newPipe(t)
	defer p.close()
	if err := Watch(p.ep); err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for i := range batch.TxSegments {
		numbers = append(numbers, 3*i) // small ones: many fit
	}
	tx := numbered(t, numbers...)
	wantQueued(t, Send(p.ep, tx))
	if tx.Sent == 0 || tx.Sent == uint32(tx.Count) {
		t.Fatalf("%d of %d datagrams were sent: this shows nothing", tx.Sent, tx.Count)
	}
	for i, want := range numbers {
		got, ok := p.read(t)
		for tries := 0; !ok && tries < 100; tries++ {
			p.turn(t, 100)
			got, ok = p.read(t)
		}
		if !ok || got != want {
			t.Fatalf("datagram %d is %d (%v), want %d", i, got, ok, want)
		}
	}
}

// A failing send does not stop those behind it; it says why it failed.
func TestFailedSendLeavesTheQueueWithItsError(t *testing.T) {
	p := newPipe(t)
	defer p.close()
	if err := Watch(p.ep); err != nil {
		t.Fatal(err)
	}
	first, sent := p.fill(t, 0)
	list := []*batch.Tx{first, blocktest.NewTx(t, 0, make([]byte, 60000)), numbered(t, 3000)}
	for _, tx := range list[1:] { // the second is larger than the send buffer
		wantQueued(t, Send(p.ep, tx))
	}
	for range sent {
		if _, ok := p.read(t); !ok {
			t.Fatal("the kernel lost a datagram")
		}
	}
	done, _ := p.turn(t, 1000)
	for i, want := range []unix.Errno{0, unix.EMSGSIZE, 0} {
		if done != list[i] {
			t.Fatalf("send %d is not the one that is done next", i)
		}
		wantStatus(t, done.Status, want)
		done = done.Next
	}
	if done != nil {
		t.Error("more is done than was sent")
	}
	wantWatched(t, p.ep, unix.EPOLLIN)
}

// A peer that is gone is told by the queue as well, and the worker is not woken for ever.
func TestQueueOfAPeerThatIsGone(t *testing.T) {
	p := newPipe(t)
	defer p.close()
	if err := Watch(p.ep); err != nil {
		t.Fatal(err)
	}
	p.fill(t, 0)
	wantQueued(t, Send(p.ep, numbered(t, 1)))
	unix.Shutdown(p.far, unix.SHUT_RDWR)
	unix.Close(p.far)
	p.far = -1
	failed := 0
	for range 10 {
		done, _ := p.turn(t, 100)
		for ; done != nil; done = done.Next {
			if done.Status == 0 {
				t.Error("a send to nobody succeeded")
			}
			failed++
		}
	}
	if failed != 2 || p.ep.Queued.Load() != 0 {
		t.Errorf("%d sends failed, %d wait; want 2 and 0", failed, p.ep.Queued.Load())
	}
}

// The unreachable errors reach MsQuic, whichever way they are learned.
func TestUnreachable(t *testing.T) {
	for errno, want := range map[unix.Errno]bool{
		unix.ECONNREFUSED: true, unix.EHOSTUNREACH: true, unix.ENETUNREACH: true,
		unix.EMSGSIZE: false, unix.ENOBUFS: false, unix.EAGAIN: false, unix.EPERM: false, 0: false,
	} {
		if got := unreachable(errno); got != want {
			t.Errorf("%v: %v", errno, got)
		}
	}
}

func TestFlushReportsAnUnreachablePeer(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	peer := h.unused(unix.SOCK_DGRAM, "127.0.0.1:0")
	ep := w.client(h, peer)
	wantStatus(t, Send(ep, outgoing(t, peer, 0, pattern(1, 10))), 0)
	w.ready(ep, unix.EPOLLERR) // the answer is pending now
	list := []*batch.Tx{outgoing(t, peer, 0, pattern(2, 10)), outgoing(t, peer, 0, pattern(3, 10))}
	ep.Lock.Lock()
	for _, tx := range list {
		push(ep, tx)
	}
	ep.Lock.Unlock()
	w.once(ep, unix.EPOLLOUT)
	r := w.seen[ep]
	if len(r.errors) != 1 || r.errors[0] != unix.ECONNREFUSED || len(r.sent) != 2 {
		t.Fatalf("errors %v, %d sends done", r.errors, len(r.sent))
	}
	wantStatus(t, r.sent[0].Status, unix.ECONNREFUSED)
	wantStatus(t, r.sent[1].Status, 0)
	wantWatched(t, ep, unix.EPOLLIN)
}

func TestCloseReturnsWhatWaits(t *testing.T) {
	p := newPipe(t)
	if err := Watch(p.ep); err != nil {
		t.Fatal(err)
	}
	first, _ := p.fill(t, 0)
	list := []*batch.Tx{first, numbered(t, 1), numbered(t, 2)}
	for _, tx := range list[1:] {
		wantQueued(t, Send(p.ep, tx))
	}
	waiting := p.close()
	for i, want := range list {
		if waiting != want {
			t.Fatalf("send %d that waited is missing", i)
		}
		waiting = waiting.Next
	}
	if waiting != nil || p.ep.QueueHead != nil || p.ep.QueueTail != nil || p.ep.Queued.Load() != 0 || p.ep.FD != -1 {
		t.Errorf("left behind: %+v, %v", p.ep, waiting)
	}
	if Close(p.ep) != nil {
		t.Error("returned again what it had returned")
	}
}

// Threads of MsQuic send at once, while the worker flushes: what each one sends
// arrives whole and in its order, and every send comes back once.
func TestConcurrentSendersKeepTheirOrder(t *testing.T) {
	const senders, each = 4, 400
	p := newPipe(t)
	if err := Watch(p.ep); err != nil {
		t.Fatal(err)
	}
	queued := make(chan *batch.Tx, senders*each)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				tx := numbered(t, s*each+i)
				switch status := Send(p.ep, tx); status {
				case batch.SendQueued:
					queued <- tx
				case 0:
				default:
					t.Errorf("status %d", status)
				}
				if i%16 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	finished := make(chan struct{})
	done := map[*batch.Tx]int{}
	var worker sync.WaitGroup
	worker.Go(func() {
		for {
			list, _ := p.turn(t, 5)
			for tx := list; tx != nil; tx = tx.Next {
				done[tx]++
			}
			select {
			case <-finished:
				if p.ep.Queued.Load() == 0 {
					return
				}
			default:
			}
		}
	})
	next := make([]int, senders)
	for total, deadline := 0, time.Now().Add(patience); total < senders*each; {
		number, ok := p.read(t)
		if !ok {
			if time.Now().After(deadline) {
				t.Fatalf("%d of %d datagrams came", total, senders*each)
			}
			time.Sleep(50 * time.Microsecond)
			continue
		}
		if s, i := number/each, number%each; i != next[s] {
			t.Fatalf("sender %d: datagram %d came where %d was due", s, i, next[s])
		} else {
			next[s]++
		}
		total++
	}
	all.Wait()
	close(finished)
	worker.Wait()
	close(queued)
	waited := 0
	for tx := range queued {
		waited++
		if done[tx] != 1 {
			t.Errorf("a queued send was done %d times", done[tx])
		}
	}
	if waited != len(done) || waited == 0 {
		t.Errorf("%d sends waited, %d are done", waited, len(done))
	}
	wantWatched(t, p.ep, unix.EPOLLIN)
	if p.close() != nil {
		t.Error("a send still waits")
	}
}

// Several threads may find out at once that the device cannot segment. The race
// detector watches them; it needs many rounds to see two at one time.
func TestConcurrentSendersFallBackTogether(t *testing.T) {
	h := newHost(t)
	receiver, ep := h.udpLite()
	to := nameOf(t, receiver)
	const rounds, senders, count = 500, 4, 3
	var sends [senders]*batch.Tx
	for s := range sends {
		sends[s] = outgoing(t, to, 100, payloads(s, count, 100, 50)...)
	}
	for range rounds {
		setSegments(ep)
		start := make(chan struct{})
		var all sync.WaitGroup
		for _, tx := range sends {
			tx.Sent = 0
			all.Go(func() {
				<-start
				if status := Send(ep, tx); status != 0 {
					t.Errorf("status %d", status)
				}
			})
		}
		close(start)
		all.Wait()
		if got, want := len(plainReceive(t, receiver, count*senders)), count*senders; got != want || segments(ep) {
			t.Fatalf("%d datagrams came, want %d; segmentation is on: %v", got, want, segments(ep))
		}
	}
}
