// SPDX-License-Identifier: MIT

package ossock

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os/exec"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/internal/blocktest"
)

// superFrame is one send of a plain socket, cut by the kernel into segments.
type superFrame struct {
	seed, segments, size, last int // the last segment has its own size
}

func (s superFrame) length() int   { return (s.segments-1)*s.size + s.last }
func (s superFrame) bytes() []byte { return pattern(s.seed, s.length()) }

// cut returns the datagrams that a receiver must see.
func (s superFrame) cut() (datagrams [][]byte) {
	for rest := s.bytes(); len(rest) != 0; {
		n := min(s.size, len(rest))
		datagrams, rest = append(datagrams, rest[:n]), rest[n:]
	}
	return datagrams
}

// segmentLimit is how many segments one send may have: 128 since Linux 6.9.
func segmentLimit(t *testing.T, h *host) int {
	fd, to := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0"), h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	if _, err := unix.SendmsgN(fd, make([]byte, 65), cmsg(unix.SOL_UDP, unix.UDP_SEGMENT, 1, 0), sockaddr(nameOf(t, to)), 0); err == unix.EINVAL {
		return 64
	}
	return 128
}

func (s superFrame) send(t *testing.T, fd int, to netip.AddrPort) {
	t.Helper()
	var oob []byte
	if s.segments > 1 {
		oob = cmsg(unix.SOL_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(s.size))...)
	}
	if n, err := unix.SendmsgN(fd, s.bytes(), oob, sockaddr(to), 0); err != nil || n != s.length() {
		t.Fatalf("%+v: sent %d of %d bytes: %v", s, n, s.length(), err)
	}
}

// superFrames has every number of segments, and where it matters several sizes.
func superFrames(limit int) (all []superFrame) {
	for n := 1; n <= limit; n++ {
		all = append(all, superFrame{n, n, 100 + n, 100 + n}, superFrame{1000 + n, n, 200, 1})
	}
	for _, n := range []int{2, 63, 64, 65, 127, 128} {
		if n <= limit {
			largest := min(batch.MaxPayload/n, 1400)
			all = append(all, superFrame{2000 + n, n, largest, largest}, superFrame{3000 + n, n, 2, 1})
		}
	}
	return all
}

// wantDatagrams fails unless these datagrams came, in this order.
func (w *worker) wantDatagrams(ep *batch.Endpoint, want [][]byte) {
	w.t.Helper()
	got := w.seen[ep].got
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i].data, want[i]) {
			w.t.Fatalf("datagram %d of %d has %d bytes, want %d others", i+1, len(want), len(got[i].data), len(want[i]))
		}
	}
	if len(got) != len(want) {
		w.t.Errorf("%d datagrams, want %d", len(got), len(want))
	}
	w.seen[ep].got = nil
}

func TestEverySegmentIsDeliveredInOrder(t *testing.T) {
	h := newHost(t)
	far, _ := h.wire()
	w := newWorker(t)
	ep := w.server(h)
	frames := superFrames(segmentLimit(t, h))
	for _, path := range []struct {
		name, from, to string
		sender         *host
	}{
		{"lo, IPv4", "127.0.0.1:0", "127.0.0.1", h},
		{"lo, IPv6", "[::1]:0", "::1", h},
		{"veth, IPv4", "10.0.0.2:0", "10.0.0.1", far},
		{"veth, IPv6", "[fd00::2]:0", "fd00::1", far},
	} {
		t.Run(path.name, func(t *testing.T) {
			fd := path.sender.socket(unix.SOCK_DGRAM, path.from)
			for _, f := range frames {
				f.send(t, fd, port(ep, path.to))
				want := f.cut()
				w.runUntil(fmt.Sprintf("%+v is here", f), func() bool { return w.received() >= len(want) })
				w.wantDatagrams(ep, want)
			}
		})
	}
	if w.seen[ep].dropped != 0 {
		t.Errorf("%d dropped", w.seen[ep].dropped)
	}
}

// Many large messages in one batch need a spare block each.
func TestEveryMessageOfABatchMayOverflow(t *testing.T) {
	h := newHost(t)
	limit := segmentLimit(t, h)
	if limit <= batch.RxSlots {
		t.Skip("kernel<6.9: no message has more segments than a block")
	}
	w := newWorker(t)
	ep := w.server(h)
	fd := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	to := port(ep, "127.0.0.1")
	for range 2 * batch.RxBatch { // until the batch has its full size
		superFrame{1, 1, 1, 1}.send(t, fd, to)
	}
	w.runUntil("the small ones are here", func() bool { return w.received() == 2*batch.RxBatch })
	w.seen[ep].got = nil

	var want [][]byte
	for i := range batch.RxBatch {
		f := superFrame{i, limit - i, 50 + i, 7}
		f.send(t, fd, to)
		want = append(want, f.cut()...)
	}
	w.runUntil("all are here", func() bool { return w.received() >= len(want) })
	w.wantDatagrams(ep, want)
	if w.seen[ep].dropped != 0 {
		t.Errorf("%d dropped", w.seen[ep].dropped)
	}
}

// Separate packets that the receiver's GRO merges, not a sender's super-frame.
func TestPacketsMergedByGROAreDelivered(t *testing.T) {
	if _, err := exec.LookPath("ethtool"); err != nil {
		t.Skip("no-ethtool: GRO of a veth cannot be switched on")
	}
	h := newHost(t)
	far, _ := h.wire()
	far.ns.Run(t, "ethtool", "-K", "there", "tx-udp-segmentation", "off", "tso", "off")
	h.ns.Run(t, "ethtool", "-K", "here", "gro", "on")
	w := newWorker(t)
	ep := w.server(h)
	fd := far.socket(unix.SOCK_DGRAM, "10.0.0.2:0")
	var want [][]byte
	merged := 0
	for i := range 20 {
		f := superFrame{i, 50, 1200, 300}
		f.send(t, fd, port(ep, "10.0.0.1"))
		want = append(want, f.cut()...)
		before := w.seen[ep].turns
		w.runUntil("a frame is here", func() bool { return w.received() >= len(want) })
		if w.seen[ep].turns-before < f.segments/batch.RxBatch {
			merged++
		}
	}
	w.wantDatagrams(ep, want)
	if merged == 0 {
		t.Error("GRO merged nothing: the test shows nothing")
	}
}

// Small messages are read many at a time, super-frames few, and one at least.
func TestBatchAdaptsToTheSizeOfMessages(t *testing.T) {
	const few, some, many = cacheful/2 - 1, cacheful / 2, cacheful + 1
	var ep batch.Endpoint
	for i, test := range []struct {
		bytes uint32
		want  int // messages asked for next
	}{
		{few, 2}, {few, 4}, {few, 8}, {few, 8}, {some, 8}, {cacheful, 8}, {many, 4}, {some, 4}, {many, 2},
		{many, 1}, {many, 1}, {0, 2}, {batch.RxBatch * batch.IOBuffer, 1},
	} {
		if adapt(&ep, test.bytes); 1+int(ep.Batch) != test.want {
			t.Fatalf("step %d, after %d bytes: %d messages next, want %d", i, test.bytes, 1+int(ep.Batch), test.want)
		}
	}
}

// One turn reads one batch, and asks for another turn while batches are full.
func TestTurnReadsOneBatch(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep := w.server(h)
	fd := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	var want [][]byte
	for i := range 10 {
		before := queuedBytes(t, ep)
		f := superFrame{i, 1, 50, 50}
		f.send(t, fd, port(ep, "127.0.0.1"))
		want = append(want, f.cut()...)
		until(t, "one more is in the kernel", func() (bool, error) { return queuedBytes(t, ep) > before, nil })
	}
	read := 0
	for _, batch := range []int{1, 2, 4, 3} { // twice as many each time, then the rest
		w.once(ep, unix.EPOLLIN)
		read += batch
		if full := batch != 3; w.received() != read || w.turn.More != full {
			t.Fatalf("%d datagrams after a batch of %d, want %d; more %v", w.received(), batch, read, w.turn.More)
		}
	}
	w.wantDatagrams(ep, want)
}

// lendSpares leaves only the first n of the blocks that take overflow.
func (w *worker) lendSpares(n int) {
	var rest []int
	for i := batch.RxBatch; i < batch.RxLent-n; i++ {
		rest = append(rest, i)
	}
	w.pool.Withhold(w.turn, rest...)
}

func TestSegmentsWithoutABlockAreDroppedAndCounted(t *testing.T) {
	h := newHost(t)
	limit := segmentLimit(t, h)
	if limit <= batch.RxSlots {
		t.Skip("kernel<6.9: no message has more segments than a block")
	}
	for _, test := range []struct {
		segments, spares, delivered int
	}{{64, 0, 64}, {65, 0, 64}, {128, 0, 64}, {65, 1, 65}, {128, 1, 128}} {
		t.Run(fmt.Sprintf("%d segments, %d spare blocks", test.segments, test.spares), func(t *testing.T) {
			w := newWorker(t)
			ep := w.server(h)
			fd := h.socket(unix.SOCK_DGRAM, "[::1]:0")
			f := superFrame{1, test.segments, 100, 9}
			f.send(t, fd, port(ep, "::1"))
			w.ready(ep, unix.EPOLLIN)
			w.lendSpares(test.spares)
			w.once(ep, unix.EPOLLIN)
			w.wantDatagrams(ep, f.cut()[:test.delivered])
			if got, want := w.seen[ep].dropped, test.segments-test.delivered; got != want {
				t.Errorf("%d dropped, want %d", got, want)
			}
		})
	}
}

// Without memory nothing is lost that the kernel can keep.
func TestDatagramsWaitInTheKernelForABlock(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep := w.server(h)
	fd := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	var want [][]byte
	send := func() {
		f := superFrame{len(want), 1, 50, 50}
		f.send(t, fd, port(ep, "127.0.0.1"))
		want = append(want, f.cut()...)
	}
	for range 2 * batch.RxBatch { // until the batch has its full size
		send()
	}
	w.runUntil("all are here", func() bool { return w.received() == len(want) })

	for range 5 {
		before := queuedBytes(t, ep)
		send()
		until(t, "one more is in the kernel", func() (bool, error) { return queuedBytes(t, ep) > before, nil })
	}
	w.pool.Withhold(w.turn, 0)
	w.once(ep, unix.EPOLLIN)
	if got := len(want) - w.received(); got != 5 || w.turn.More || w.seen[ep].dropped != 0 {
		t.Errorf("without the first block: %d wait, more %v, %d dropped", got, w.turn.More, w.seen[ep].dropped)
	}
	w.pool.Withhold(w.turn, 3)
	w.once(ep, unix.EPOLLIN)
	if got := len(want) - w.received(); got != 2 || !w.turn.More {
		t.Errorf("without the fourth block: %d wait, more %v", got, w.turn.More)
	}
	w.once(ep, unix.EPOLLIN)
	w.wantDatagrams(ep, want)
	if w.turn.More {
		t.Error("says that there may be more, although the last batch was not full")
	}
}

// queuedBytes is how much memory the kernel holds for what a socket has received.
func queuedBytes(t *testing.T, ep *batch.Endpoint) uint32 {
	t.Helper()
	var info [9]uint32 // SK_MEMINFO_VARS
	n := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(ep.FD), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	return info[0]
}

// A message that does not say where it came from in full is no use to MsQuic.
func TestMessagesWithoutAllControlAreDroppedAndCounted(t *testing.T) {
	h := newHost(t)
	for _, test := range []struct {
		name              string
		level, opt, value int
		to                string
		dropped           bool
	}{
		{"nothing changed, IPv4", unix.SOL_SOCKET, unix.SO_PRIORITY, 0, "127.0.0.1", false},
		{"nothing changed, IPv6", unix.SOL_SOCKET, unix.SO_PRIORITY, 0, "::1", false},
		{"no destination, IPv4", unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 0, "127.0.0.1", true},
		{"no destination, IPv6", unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 0, "::1", true},
		{"no TOS", unix.SOL_IP, unix.IP_RECVTOS, 0, "127.0.0.1", true},
		{"no traffic class", unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 0, "::1", true},
		{"no TTL", unix.SOL_IP, unix.IP_RECVTTL, 0, "127.0.0.1", true},
		{"no hop limit", unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, 0, "::1", true},
		{"no room for all", unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1, "::1", true}, // comes first
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorker(t)
			ep := w.server(h)
			if err := unix.SetsockoptInt(int(ep.FD), test.level, test.opt, test.value); err != nil {
				t.Fatal(err)
			}
			from := "127.0.0.1:0"
			if test.to == "::1" {
				from = "[::1]:0"
			}
			fd := h.socket(unix.SOCK_DGRAM, from)
			// Two segments, so that the segment size is there too, and takes the last room.
			f := superFrame{1, 2, 100, 100}
			f.send(t, fd, port(ep, test.to))
			w.ready(ep, unix.EPOLLIN)
			w.once(ep, unix.EPOLLIN)
			if r := w.seen[ep]; test.dropped && (len(r.got) != 0 || r.dropped != 1) {
				t.Errorf("%d delivered, %d dropped; want one message dropped", len(r.got), r.dropped)
			} else if !test.dropped && (len(r.got) != 2 || r.dropped != 0) {
				t.Errorf("%d delivered, %d dropped; want two delivered", len(r.got), r.dropped)
			}
		})
	}
}

// What the kernel has cut off may be the segment size, without which a
// super-frame would pass for one datagram.
func TestTruncatedMessagesAreDroppedAndCounted(t *testing.T) {
	for _, flags := range []int32{unix.MSG_TRUNC, unix.MSG_CTRUNC, 0} {
		w := newWorker(t)
		ep := blocktest.NewEndpoint(-1)
		c := chain{ep: ep, turn: w.turn, spare: batch.RxLent, tail: &w.turn.Chain}
		place(w.turn, 0, pattern(1, 100), 0)
		w.turn.Message[0].Hdr.Flags = flags
		c.message(0)
		if dropped := flags != 0; w.turn.Dropped != uint32(btoi(dropped)) || (w.turn.Chain == nil) != dropped {
			t.Errorf("flags %#x: %d dropped, %d delivered", flags, w.turn.Dropped, w.turn.Datagrams)
		}
		w.pool.Deliver(w.turn)
		w.pool.Return(w.turn.Chain)
	}
}

func TestEmptyDatagramsAreSwallowed(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep := w.server(h)
	fd := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	var want [][]byte
	for i := range 10 {
		superFrame{0, 1, 0, 0}.send(t, fd, port(ep, "127.0.0.1"))
		if i%3 == 0 {
			f := superFrame{i, 1, 10, 10}
			f.send(t, fd, port(ep, "127.0.0.1"))
			want = append(want, f.cut()...)
		}
	}
	w.runUntil("all are here", func() bool { return w.received() == len(want) })
	w.idle()
	w.wantDatagrams(ep, want)
	if w.seen[ep].dropped != 0 {
		t.Errorf("%d counted as dropped", w.seen[ep].dropped)
	}
}

func TestLargestDatagrams(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	ep := w.server(h)
	for _, test := range []struct {
		from, to string
		size     int
	}{
		{"127.0.0.1:0", "127.0.0.1", batch.MaxPayload},
		{"[::1]:0", "::1", 65535 - 8}, // without extension headers, an IPv6 datagram can be longer
		{"127.0.0.1:0", "127.0.0.1", 1},
	} {
		f := superFrame{test.size, 1, test.size, test.size}
		f.send(t, h.socket(unix.SOCK_DGRAM, test.from), port(ep, test.to))
		w.runUntil("it is here", func() bool { return w.received() == 1 })
		w.wantDatagrams(ep, f.cut())
	}
}

// What MsQuic is told of a datagram: both addresses, the interface, TOS, TTL.
func TestReceivedRoute(t *testing.T) {
	h := newHost(t)
	far, here := h.wire()
	w := newWorker(t)
	server := w.server(h)
	to4, to6 := far.socket(unix.SOCK_DGRAM, "10.0.0.2:0"), far.socket(unix.SOCK_DGRAM, "[fd00::2]:0")
	client4, client6 := w.client(h, nameOf(t, to4)), w.client(h, nameOf(t, to6))
	if !client4.IsV4 || client6.IsV4 {
		t.Fatalf("AF_INET: %v for IPv4, %v for IPv6", client4.IsV4, client6.IsV4)
	}
	for _, test := range []struct {
		name string
		ep   *batch.Endpoint
		from int
		to   string
		v4   bool
	}{
		{"server, IPv4", server, to4, "10.0.0.1", true},
		{"server, second IPv4 address", server, to4, "10.0.0.3", true},
		{"server, IPv6", server, to6, "fd00::1", false},
		{"server, second IPv6 address", server, to6, "fd00::3", false},
		{"client, IPv4", client4, to4, client4.Local.IP().String(), true},
		{"client, IPv6", client6, to6, client6.Local.IP().String(), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, class := range []int{0, 1, 3, 46 << 2, 255} {
				const hops = 77
				options := [2][3]int{{unix.SOL_IPV6, unix.IPV6_TCLASS, unix.IPV6_UNICAST_HOPS}, {unix.SOL_IP, unix.IP_TOS, unix.IP_TTL}}[btoi(test.v4)]
				for i, value := range []int{class, hops} {
					if err := unix.SetsockoptInt(test.from, options[0], options[1+i], value); err != nil {
						t.Fatal(err)
					}
				}
				superFrame{class, 1, 100, 100}.send(t, test.from, port(test.ep, test.to))
				w.runUntil("it is here", func() bool { return w.received() == 1 })
				d := w.seen[test.ep].got[0]
				w.seen[test.ep].got = nil
				want := datagram{
					remote: batch.AddrFrom(nameOf(t, test.from)),
					local:  batch.AddrFrom(port(test.ep, test.to)),
					tos:    byte(class), ttl: hops,
				}
				want.local.Scope = uint32(here.Index)
				if !d.remote.SameHostPort(&want.remote) || d.local != want.local || d.tos != want.tos || d.ttl != want.ttl {
					t.Errorf("got %+v, want %+v", d, want)
				}
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// An AF_INET socket writes 16 of the 28 bytes of the sender's address.
func TestSenderIsNotMixedWithAnEarlierOne(t *testing.T) {
	h := newHost(t)
	w := newWorker(t)
	peer := h.socket(unix.SOCK_DGRAM, "127.0.0.1:0")
	ep := w.client(h, nameOf(t, peer))
	for _, b := range w.turn.Block {
		b.From = withScope("[fe80::1:2:3:4]:5", 6) // a link-local sender, on another socket of the partition
	}
	superFrame{1, 1, 10, 10}.send(t, peer, port(ep, "127.0.0.1"))
	w.runUntil("it is here", func() bool { return w.received() == 1 })
	if got, want := w.seen[ep].got[0].remote, batch.AddrFrom(nameOf(t, peer)); got != want {
		t.Errorf("sender %+v, want %+v", got, want)
	}
}

// A connected socket learns that its peer is gone, and loses no datagram by it.
func TestPendingErrorHidesNoDatagram(t *testing.T) {
	h := newHost(t)
	for _, test := range []struct {
		name   string
		events uint32
	}{
		{"error and data", unix.EPOLLIN | unix.EPOLLERR},
		{"seen first by the read", unix.EPOLLIN},
		{"error alone", unix.EPOLLERR},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorker(t)
			peer := h.unused(unix.SOCK_DGRAM, "127.0.0.1:0")
			ep := w.client(h, peer)
			tx := blocktest.NewTx(t, 0, pattern(1, 10))
			tx.Remote = batch.AddrFrom(peer)
			if status := Send(ep, tx); status != 0 {
				t.Fatal(unix.Errno(status))
			}
			w.ready(ep, unix.EPOLLERR)
			f := superFrame{1, 1, 10, 10}
			f.send(t, h.socket(unix.SOCK_DGRAM, peer.String()), port(ep, "127.0.0.1"))

			w.ready(ep, unix.EPOLLIN|unix.EPOLLERR)
			w.serve(ep, test.events)
			if errs := w.seen[ep].errors; len(errs) != 1 || errs[0] != unix.ECONNREFUSED {
				t.Errorf("errors %v, want one ECONNREFUSED", errs)
			}
			w.runUntil("the datagram is here", func() bool { return w.received() == 1 })
			w.wantDatagrams(ep, f.cut())
			w.wantQuiet()
		})
	}
}

// One message, cut without the kernel's help, against the obvious model.
func TestCutProperty(t *testing.T) {
	w := newWorker(t)
	ep := blocktest.NewEndpoint(-1)
	ep.Local = addrOf("[::]:4433")
	rapid.Check(t, func(rt *rapid.T) {
		w.pool.Refill(w.turn)
		*w.turn = batch.Turn{Block: w.turn.Block}
		var missing []int
		for i := batch.RxBatch; i < batch.RxLent; i++ {
			if rapid.Bool().Draw(rt, "missing") {
				missing = append(missing, i)
			}
		}
		w.pool.Withhold(w.turn, missing...)
		slots := 0 // what the lent blocks can describe
		c := chain{ep: ep, turn: w.turn, spare: batch.RxLent, tail: &w.turn.Chain}
		var want [][]byte
		dropped, spares := 0, batch.RxLent-batch.RxBatch-len(missing)
		for i := range rapid.IntRange(1, batch.RxBatch).Draw(rt, "messages") {
			length := rapid.IntRange(1, batch.IOBuffer-1).Draw(rt, "length")
			segment := rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(100, 2000), rapid.IntRange(1, 70000)).Draw(rt, "segment")
			data := pattern(i, length)
			place(w.turn, i, data, segment)
			c.message(i)

			slots = batch.RxSlots
			if segment == 0 {
				segment = length
			}
			for rest := data; len(rest) > 0; {
				n := min(segment, len(rest))
				if slots == 0 && spares > 0 {
					spares, slots = spares-1, batch.RxSlots
				}
				if slots == 0 {
					dropped++
				} else {
					want, slots = append(want, rest[:n]), slots-1
				}
				rest = rest[n:]
			}
		}
		got := w.pool.Deliver(w.turn)
		if len(got) != len(want) || int(w.turn.Dropped) != dropped {
			rt.Fatalf("%d datagrams and %d dropped, want %d and %d", len(got), w.turn.Dropped, len(want), dropped)
		}
		for i, d := range got {
			if !bytes.Equal(blocktest.Payload(t, d), want[i]) {
				rt.Fatalf("datagram %d of %d is another", i+1, len(got))
			}
		}
		w.pool.Return(w.turn.Chain)
	})
}

// place plays the kernel: message i of a turn, with all control messages.
func place(turn *batch.Turn, i int, data []byte, segment int) {
	b := turn.Block[i]
	copy(b.Bytes(), data)
	b.From = addrOf("[::ffff:10.0.0.2]:1")
	n := copy(b.Control[:], bytes.Join([][]byte{pktinfoMapped, tos, ttl}, nil))
	if segment != 0 {
		n += copy(b.Control[n:], cmsg(unix.SOL_UDP, unix.UDP_GRO, native32(uint32(segment))...))
	}
	turn.Message[i].Len = uint32(len(data))
	turn.Message[i].Hdr.Controllen = uint64(n)
	turn.Message[i].Hdr.Flags = 0
}
