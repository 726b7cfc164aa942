// SPDX-License-Identifier: MIT

package steering

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
)

// As MsQuic has it on Linux.
var usual = cibir.Encoding{Length: 4, SourceOffset: 2, DestinationOffset: 2}

func TestEveryLengthAndOffset(t *testing.T) {
	for length := uint8(1); length <= cibir.MaxIDLength; length++ {
		for _, e := range []cibir.Encoding{
			{Length: length},
			{Length: length, SourceOffset: 3, DestinationOffset: 7},
			{Length: length, SourceOffset: 255 - length, DestinationOffset: 255 - length},
		} {
			t.Run(e.String(), func(t *testing.T) {
				p := newPort(t, e)
				for slot := range 3 {
					id := identifier(length, 3*slot+1)
					fds := p.publish(uint32(1000*slot), id, 1)
					for _, family := range families {
						p.wantAt(fds, family, long(e, id))
						p.wantAt(fds, family, short(e, id))
					}
				}
				p.wantDropped(Counters{UnknownIdentifier: 1}, long(e, identifier(length, 0xff)))
				p.wantDropped(Counters{UnknownIdentifier: 1}, short(e, identifier(length, 0xff)))
			})
		}
	}
}

// The first and the last slot.
func TestSlotsHaveCountersOfTheirOwn(t *testing.T) {
	p := newPort(t, usual)
	for i, slot := range []uint32{0, MaxSlots - 1} {
		id := identifier(usual.Length, i)
		fds := p.publish(slot, id, 1)
		for n := range uint64(3) {
			if got, err := p.g.Delivered(slot); err != nil || got != n {
				t.Errorf("slot %d: %d delivered, %v; want %d", slot, got, err, n)
			}
			p.wantAt(fds, "v4", short(usual, id))
		}
	}
	if _, err := p.g.Delivered(MaxSlots); err == nil {
		t.Error("there is a slot too many")
	}
}

func TestDropped(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	fds := p.publish(5, id, 2)
	end := usual.SourceOffset + usual.Length
	for _, test := range []struct {
		name     string
		want     Counters
		datagram []byte
	}{
		{"empty", Counters{TooShort: 1}, nil},
		{"one byte, long", Counters{TooShort: 1}, []byte{0xc0}},
		{"one byte, short", Counters{TooShort: 1}, []byte{0x40}},
		{"nobody's identifier", Counters{UnknownIdentifier: 1}, short(usual, identifier(usual.Length, 2))},
		{"one that is longer with a zero", Counters{UnknownIdentifier: 1}, short(usual, identifier(usual.Length, 1<<8))},
		{"identifier in the other place, short", Counters{UnknownIdentifier: 1}, short(cibir.Encoding{DestinationOffset: 3}, id)},
		{"no source connection ID", Counters{NoIdentifier: 1}, header(nil)},
		{"one that ends within the identifier", Counters{NoIdentifier: 1}, header(filler(end - 1))},
		{"nobody's identifier, long", Counters{UnknownIdentifier: 1}, header(filler(end))},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.t = t
			p.wantDropped(test.want, test.datagram)
		})
	}
	p.t = t
	p.wantAt(fds, "v6", long(usual, id))
}

// Every cut of a header is dropped, up to the byte that makes it whole.
func TestTruncated(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	fds := p.publish(5, id, 1)
	for name, datagram := range map[string][]byte{"long": long(usual, id), "short": short(usual, id)} {
		whole := len(datagram) - len("payload")
		if name == "short" {
			whole = 1 + int(usual.DestinationOffset) + int(usual.Length)
		}
		for n := range whole {
			p.wantDropped(Counters{TooShort: 1}, datagram[:n])
		}
		p.wantAt(fds, "v4", datagram[:whole])
	}
}

// To its sender a dropped datagram looks as if the port were closed.
func TestSenderLearnsOfADrop(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	p.publish(5, id, 1)
	for _, family := range families {
		client := p.unbound(map[string]int{"v4": unix.AF_INET, "v6": unix.AF_INET6}[family])
		if err := unix.Connect(client, address(family)); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			id   cibir.ID
			want unix.Errno
		}{{id, 0}, {identifier(usual.Length, 2), unix.ECONNREFUSED}} {
			before := p.counters()
			if _, err := unix.Write(client, short(usual, test.id)); err != nil {
				t.Fatal(err)
			}
			p.judged(before, 1)
			until(t, "the sender learns of it", func() bool {
				errno, err := unix.GetsockoptInt(client, unix.SOL_SOCKET, unix.SO_ERROR)
				return err == nil && unix.Errno(errno) == test.want
			})
		}
	}
}

// A process has a socket for each of its workers. The kernel handles what comes
// over loopback on the CPU of its sender.
func TestEachCPUHasItsSocket(t *testing.T) {
	for n := 1; n <= 3; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p := newPort(t, usual)
			id := identifier(usual.Length, 1)
			fds := p.publish(7, id, n)
			onEachCPU(t, func(cpu int) {
				for _, family := range families {
					p.wantAt(fds[cpu%n:cpu%n+1], family, short(usual, id))
				}
			})
		})
	}
}

// publishAll publishes an identifier with one socket in each of the first n slots.
func (p *port) publishAll(n int) []int {
	p.t.Helper()
	fds := p.sockets(n)
	for slot := range fds {
		if err := p.g.Publish(uint32(slot), identifier(usual.Length, slot), fds[slot:slot+1]); err != nil {
			p.t.Fatal(err)
		}
	}
	return fds
}

func TestAllSlotsAtOnce(t *testing.T) {
	p := newPort(t, usual)
	fds := p.publishAll(MaxSlots)
	for slot, fd := range fds {
		id := identifier(usual.Length, slot)
		if c := p.judge(families[slot%2], short(usual, id)); c != (Counters{Delivered: 1}) {
			t.Fatalf("identifier %v: %+v", id, c)
		}
		if got := string(p.receive(fd)); got != string(short(usual, id)) {
			t.Fatalf("slot %d got %x", slot, got)
		}
	}
	p.wantSilence()
	p.wantDropped(Counters{UnknownIdentifier: 1}, short(usual, identifier(usual.Length, MaxSlots)))
}

func TestMostSocketsOfASlot(t *testing.T) {
	p := newPort(t, usual)
	id := identifier(usual.Length, 1)
	fds := p.publish(MaxSlots-1, id, MaxSockets)
	onEachCPU(t, func(cpu int) { p.wantAt(fds[cpu%MaxSockets:cpu%MaxSockets+1], "v4", long(usual, id)) })
}
