// SPDX-License-Identifier: MIT

package ossock

import (
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// receive reads one batch of messages into the blocks of the turn and chains
// their datagrams.
//
// Fewer messages than asked for means that the socket was empty a moment ago:
// the event queue is level-triggered and will say so when it is not, so the
// read that would only return EAGAIN is never made.
func receive(ep *batch.Endpoint, t *batch.Turn) {
	want := prepare(t, 1+int(ep.Batch))
	if want == 0 {
		return // no memory: the datagrams wait in the kernel
	}
	n, errno := recvmmsg(ep.FD, t.Message[:want])
	switch errno {
	case 0:
	case unix.EAGAIN:
		return
	default: // the pending error of an earlier send: reported once, so there may be more behind it
		t.Error = int32(errno)
		t.More = errno != unix.EBADF && errno != unix.ENOTSOCK
		return
	}
	c := chain{ep: ep, turn: t, spare: batch.RxLent, tail: &t.Chain}
	for i := range n {
		c.message(i)
	}
	t.More = n == want
	adapt(ep, t.Bytes)
}

// cacheful is about what a core's second-level cache holds of packets beside everything else.
const cacheful = 64 << 10

// adapt sizes the next batch. MsQuic reads every byte right after the kernel has
// written it: many small messages are cheaper together, but super-frames that
// GRO has merged are cheaper one by one, while they are still in the cache.
func adapt(ep *batch.Endpoint, bytes uint32) {
	switch {
	case bytes > cacheful:
		ep.Batch /= 2
	case bytes < cacheful/2 && ep.Batch < batch.RxBatch-1:
		ep.Batch = 2*ep.Batch + 1
	}
}

// prepare resets what the kernel overwrote in the messages of the last turn and
// returns how many of the first want have a block.
func prepare(t *batch.Turn, want int) int {
	for i := range want {
		b := t.Block[i]
		if b == nil {
			return i
		}
		h := &t.Message[i].Hdr
		h.Name = (*byte)(ptr(&b.From))
		h.Namelen = unix.SizeofSockaddrInet6
		h.Iov = &b.Iov
		h.Iovlen = 1
		h.Control = &b.Control[0]
		h.Controllen = batch.RxControl
		h.Flags = 0
	}
	return want
}

// chain links datagrams in order of arrival.
type chain struct {
	ep    *batch.Endpoint
	turn  *batch.Turn
	tail  **batch.RecvData
	spare int // blocks from here on have been used for overflow

	// The message being cut:
	info  received
	block *batch.Rx
	slot  uint32
}

// message cuts message i into its datagrams.
func (c *chain) message(i int) {
	m, b := &c.turn.Message[i], c.turn.Block[i]
	c.info = received{}
	parseControl(b.Control[:min(m.Hdr.Controllen, batch.RxControl)], &c.info)
	if m.Len == 0 {
		return // QUIC has no empty datagrams; MsQuic must not see one
	}
	if c.info.have != haveAll || m.Hdr.Flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || m.Len > batch.IOBuffer {
		c.turn.Dropped++
		return
	}
	c.info.local.Port = c.ep.Local.Port
	if c.ep.IsV4 { // the kernel wrote a sockaddr_in, and the rest is of an earlier sender
		b.From.V6, b.From.Scope = [16]byte{}, 0
	}
	b.From.Unmap()
	if c.info.segment == 0 {
		c.info.segment = m.Len
	}
	if c.ep.CIBIR.Length != 0 && !isMine(c.ep, b.Bytes()[:min(c.info.segment, m.Len)]) {
		c.turn.Dropped++ // a broadcast: the kernel gives it to every member
		return
	}
	c.begin(i)
	c.cut(b.From, b.Bytes(), m.Len)
}

func (c *chain) begin(i int) {
	c.block, c.slot = c.turn.Block[i], 0
	c.block.Pending = 0
	c.turn.Taken |= 1 << i
}

// cut appends the datagrams of one message. A block describes RxSlots of them;
// a longer message goes on in a spare block, into which the rest is copied.
func (c *chain) cut(from batch.Addr, buf []byte, length uint32) {
	for off := uint32(0); off < length; {
		n := min(c.info.segment, length-off)
		if c.ep.CIBIR.Length != 0 && !isMine(c.ep, buf[off:off+n]) {
			c.turn.Dropped++
			off += n
			continue
		}
		if c.slot == batch.RxSlots {
			rest := buf[off:length]
			if !c.overflow() {
				c.turn.Dropped += (uint32(len(rest)) + c.info.segment - 1) / c.info.segment
				return
			}
			buf, off, length = c.block.Bytes(), 0, uint32(len(rest))
			copy(buf, rest)
		}
		c.append(&from, &buf[off], n)
		off += n
	}
}

// overflow takes a spare block: from the end, away from those that messages are read into.
func (c *chain) overflow() bool {
	for c.spare > batch.RxBatch {
		c.spare--
		if c.turn.Block[c.spare] != nil {
			c.begin(c.spare)
			return true
		}
	}
	return false
}

// append describes one datagram in the next slot. Fields are set one by one: a
// composite literal is built on the stack first, and reading it back at once in
// larger pieces than it was written in stalls the processor for every datagram.
func (c *chain) append(from *batch.Addr, data *byte, n uint32) {
	s := c.block.Slot(c.slot)
	s.Block = c.block
	r := &s.Route
	r.Queue = c.ep.Queue
	r.Remote = *from
	r.Local = c.info.local
	r.LocalMAC, r.NextHopMAC = [6]byte{}, [6]byte{}
	r.Type = batch.DatapathNormal
	r.State = batch.RouteResolved
	r.TCPState = [12]byte{}
	d := &s.Data
	d.Next = nil
	d.Route = r
	d.Buffer = ptr(data)
	d.Length = uint16(n)
	d.Partition = c.ep.Partition
	d.TOS, d.TTL = c.info.tos, c.info.ttl
	d.Flags = batch.RecvAllocatedNormal
	*c.tail, c.tail = d, &d.Next
	c.slot++
	c.block.Pending++
	c.turn.Datagrams++
	c.turn.Bytes += n
}
