// SPDX-License-Identifier: MIT

package pool

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/xsk"
)

// sending is what belongs to the thread that sends.
//
// Every seat has chunks of its own to send, and only its owner uses them. A chunk in
// flight comes back through COMPLETION, whoever reaps it. What a dead
// predecessor had in flight may never come back: its socket is gone. So the owner of
// the seat waits for those as long as a device may take, and then takes them.
type sending struct {
	first    uint32 // number of the seat's first chunk
	next     uint32 // where to look for a free one, from first
	reserved [MaxTurn]uint32
	room     int
	out      [MaxTurn]xsk.Desc
	stale    []bool // by chunk: in flight since before the owner came; nil when none is
	until    time.Time
	dropped  uint64
	refused  uint64
}

// staleAfter is how long a packet of a dead member may take to be sent.
const staleAfter = time.Second

func (q *Queue) startSending() {
	q.sending = sending{first: q.shape.Receive + q.number*q.shape.Send, until: time.Now().Add(staleAfter)}
	for i := range q.shape.Send {
		if q.landed.Busy(q.first + i) {
			if q.stale == nil {
				q.stale = make([]bool, q.shape.Send)
			}
			q.stale[i] = true
		}
	}
}

// Reserve makes room for n packets to send, at most [MaxTurn], and returns for how
// many there is room. A second Reserve forgets the first.
func (q *Queue) Reserve(n int) int {
	q.landed.Reap(2 * MaxTurn) // more than we send, since others may not come to it
	if q.stale != nil && time.Now().After(q.until) {
		q.takeStale()
	}
	n = q.socket.TX.Reserve(min(max(n, 0), MaxTurn))
	q.room = 0
	for i := uint32(0); i < q.shape.Send && q.room < n; i++ {
		// In the order in which they were sent, so that the first is likely to be free.
		at := (q.next + i) & (q.shape.Send - 1)
		if chunk := q.first + at; !q.landed.Busy(chunk) {
			q.reserved[q.room] = chunk
			q.room++
		}
	}
	return q.room
}

// takeStale takes the chunks that have never come back to the dead predecessor.
func (q *Queue) takeStale() {
	for i, stale := range q.stale {
		if chunk := q.first + uint32(i); stale && q.landed.Busy(chunk) {
			q.landed.Abandon(chunk)
		}
	}
	q.stale = nil
}

// Frame returns the room for packet i of those reserved.
func (q *Queue) Frame(i int) []byte {
	start := q.start(i)
	end := (uint64(q.reserved[i]) + 1) * chunkSize
	return q.umem.bytes[start:end:end]
}

// start is the address of packet i in the UMEM.
func (q *Queue) start(i int) uint64 {
	return uint64(q.reserved[i])*chunkSize + uint64(q.shape.Checksums)*xsk.MetadataSize
}

// Outgoing says what is in a frame.
type Outgoing struct {
	Length uint32 // of the packet, from the start of the frame

	// ChecksumStart and ChecksumOffset ask for a checksum over the packet from
	// byte ChecksumStart on, to be stored ChecksumOffset bytes behind that, where the
	// sum of the pseudo-header stands. 0: none. Needs [Options.Checksums].
	ChecksumStart, ChecksumOffset uint16
}

// minPacket is an Ethernet header, which the kernel wants to see.
const minPacket = 14

// Submit puts the first frames reserved into the TX ring, one for each of packets, and
// ends the reservation. The kernel sees them at the next [Queue.Kick]. A packet that
// is too short or too long is left out.
func (q *Queue) Submit(packets []Outgoing) {
	n := 0
	for i := range packets[:min(len(packets), q.room)] {
		p := &packets[i]
		start := q.start(i)
		if p.Length < minPacket || start%chunkSize+uint64(p.Length) > chunkSize {
			q.refused++
			continue
		}
		d := xsk.Desc{Addr: start, Len: p.Length}
		if p.ChecksumStart != 0 && q.shape.Checksums == 1 {
			xsk.RequestChecksum(q.umem.bytes[start-xsk.MetadataSize:start], p.ChecksumStart, p.ChecksumOffset)
			d.Options = xsk.OptionMetadata
		}
		q.forgetStale(q.reserved[i])
		q.landed.Begin(q.reserved[i])
		q.next = q.reserved[i] - q.first + 1
		q.out[n] = d
		n++
	}
	q.socket.TX.Submit(q.out[:n])
	q.room = 0
}

// forgetStale says that a chunk flies for its owner now.
func (q *Queue) forgetStale(chunk uint32) {
	if q.stale != nil {
		q.stale[chunk-q.first] = false
	}
}

// Kick makes the kernel send what has been submitted, as much as it does at once;
// what it leaves is [Queue.Backlog], and waits for the next Kick after other work. An error
// says that the interface is down or gone.
func (q *Queue) Kick() error {
	if !q.socket.TX.NeedWakeup() {
		return nil
	}
	switch err := q.socket.Transmit(); err {
	case 0, unix.EAGAIN, unix.ENOBUFS, unix.EINTR:
		return nil
	case unix.EBUSY: // the device has dropped one, which is as good as sent
		q.dropped++
		return nil
	default:
		return err
	}
}

// Backlog returns how many packets the kernel has not yet taken from the TX ring.
func (q *Queue) Backlog() int {
	size := int(q.socket.TX.Size())
	return size - q.socket.TX.Reserve(size)
}

// Counters are of what went wrong in a queue.
type Counters struct {
	Invalid uint64 // descriptors in RX that cannot be: somebody lies
	Lost    uint64 // chunks that FILL did not take: somebody lies
	Dropped uint64 // packets that the device did not take
	Refused uint64 // packets to send that are too short or too long
}

// Counters returns the counters. The threads that receive and send must not be at it.
func (q *Queue) Counters() Counters {
	return Counters{Invalid: q.invalid, Lost: q.lost, Dropped: q.dropped, Refused: q.refused}
}
