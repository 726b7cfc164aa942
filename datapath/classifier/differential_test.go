// SPDX-License-Identifier: MIT

package classifier

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/internal/fuzztest"
)

// batch is how many packets are judged between two looks at the counters.
const batch = 1024

// duel lets the program and the model judge the same packets, many of them. What the program returns is compared for
// each packet, what it counts for each batch; only a batch in which they differ is looked at packet by packet.
type duel struct {
	*subject
	random   *rand.Rand
	kinds    [][]byte
	met      Counters
	packets  [batch][]byte
	arrivals [batch]arrival
	attr     testRun
	context  xdpContext
}

// testRun is what BPF_PROG_TEST_RUN reads and writes.
type testRun struct {
	program, result, inLength, outLength    uint32
	in, out                                 uint64
	repeat, duration, contextIn, contextOut uint32
	contextInAt, contextOutAt               uint64
	flags, cpu, batchSize, _                uint32
}

type xdpContext struct{ data, end, meta, ingress, queue, egress uint32 } // xdp_md

// The program in the kernel does what the model does, with packets of all kinds, while the rules change.
func TestDifferential(t *testing.T) {
	run := fuzztest.Start(t)
	var work sync.WaitGroup
	var duels []*duel
	for n := range min(runtime.NumCPU(), 2) {
		d := newDuel(t, run.Seed, uint64(n))
		duels = append(duels, d)
		work.Go(func() {
			for d.round(); !t.Failed() && run.More(batch); d.round() {
			}
		})
	}
	work.Wait()
	run.Report(t, "classifier")
	logMet(t, duels, run.Long())
}

// logMet says of which kinds packets were. In a long run none may be missing.
func logMet(t *testing.T, duels []*duel, long bool) {
	for reason := range Reason(Reasons) {
		var n uint64
		for _, d := range duels {
			n += d.met[reason]
		}
		t.Logf("%10d %v", n, reason)
		if n == 0 && long {
			t.Errorf("no packet was to be counted as: %v", reason)
		}
	}
}

func newDuel(t *testing.T, seed, n uint64) *duel {
	random := rand.New(rand.NewPCG(seed, n))
	d := &duel{subject: newSubject(t, Options{LongestPacket: 300}), random: random, kinds: kinds(random)}
	history{d.subject}.begin()
	const longest = 512
	for i := range d.packets {
		d.packets[i] = make([]byte, 0, longest)
	}
	d.attr = testRun{program: uint32(d.c.objects.MsquicxdpClassify.FD()), repeat: 1}
	return d
}

// kinds are packets that somebody may want, some of them of just the greatest length, before they are damaged.
func kinds(random *rand.Rand) (list [][]byte) {
	for i := range 4 {
		for _, e := range fewEncodings {
			id := identifier(e.Length, i)
			end, long := 1+int(e.DestinationOffset+e.Length), long(e, id)
			for _, payload := range [][]byte{
				long, long[:random.IntN(len(long))], short(e, id), short(e, id)[:end], short(e, id)[:end-1], nil,
				header(20*i, filler(7*i)), make([]byte, 237+i), make([]byte, 257+i),
			} {
				for _, to := range fewAddresses {
					for _, port := range fewPorts {
						list = append(list, packet(to, port, payload))
						if to.Is4() && i == 1 {
							list = append(list, ipv4(to, unix.IPPROTO_UDP, make([]byte, 4), udp(port, payload)))
							list = append(list, ipv4(to, unix.IPPROTO_UDP, make([]byte, 40), udp(port, payload)))
						}
					}
				}
			}
		}
	}
	for _, next := range []byte{unix.IPPROTO_TCP, 0, 43, 44, 50, 51, 59, 60, 135, 136, 255} {
		list = append(list, ipv6(here6, next, udp(fewPorts[0], filler(30))))
	}
	some := packet(here4, fewPorts[0], filler(30))
	list = append(list, with(some, atFragment, 0x20), with(some, atProtocol, unix.IPPROTO_TCP))
	return append(list, frame(unix.ETH_P_ARP, filler(28)), frame(unix.ETH_P_8021Q, filler(60)), frame(unix.ETH_P_8021AD, filler(60)))
}

// round changes something, and has one batch judged.
func (d *duel) round() {
	d.change()
	before := d.counters()
	var want Counters
	slots := map[uint32]uint64{}
	for i := 0; i < batch && !d.Failed(); i++ {
		a := d.draw(i)
		reason, slot := d.judge(a)
		code := uint32(pass)
		if reason == Redirected {
			slots[slot]++
			code = redirect
		}
		want[reason]++
		d.met[reason]++
		if got := d.runOnce(a); got != code {
			d.Errorf("%x (%d bytes in the first piece): code %d, want %v", head(a.packet), a.first, got, reason)
		}
	}
	d.compare(before, want, slots)
}

// compare compares what was counted in a batch.
func (d *duel) compare(before, want Counters, slots map[uint32]uint64) {
	if d.Failed() {
		return
	}
	after, same := d.counters(), true
	for i := range after {
		d.counted[0][i] = after[i]
		same = same && after[i]-before[i] == want[i]
	}
	for _, slot := range fewSlots {
		n := d.read(d.c.objects.Redirected, slot)
		same = same && n-d.got[slot] == slots[slot]
		d.got[slot] = n
	}
	if same {
		return
	}
	d.Errorf("counted %v, then %v, want %v more, slots %v", before, after, want, slots)
	for _, a := range d.arrivals {
		d.tryArrival(a)
	}
}

// draw makes packet number i of a batch.
func (d *duel) draw(i int) arrival {
	p := append(d.packets[i], d.kinds[d.random.IntN(len(d.kinds))]...)
	p = fuzztest.Damage(d.random, p, atEthertype+2)
	a := arrival{packet: p}
	if d.random.IntN(8) == 0 && len(p) > atIP+1 {
		a.first = atIP + d.random.IntN(len(p)-atIP-1)
	}
	if d.random.IntN(32) == 0 {
		p[atEthertype+d.random.IntN(2)] ^= byte(d.random.Uint32())
	}
	d.arrivals[i] = a
	return a
}

// runOnce is [subject.run] at the cost of the system call alone.
func (d *duel) runOnce(a arrival) uint32 {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&a.packet[0])
	d.attr.in, d.attr.inLength = uint64(uintptr(unsafe.Pointer(&a.packet[0]))), uint32(len(a.packet))
	d.attr.outLength, d.attr.contextIn, d.attr.contextInAt = 0, 0, 0
	if a.first != 0 {
		pin.Pin(&d.context)
		d.context.end = uint32(a.first)
		d.attr.contextIn, d.attr.contextInAt = uint32(unsafe.Sizeof(d.context)), uint64(uintptr(unsafe.Pointer(&d.context)))
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&d.attr)), unsafe.Sizeof(d.attr))
	if errno != 0 {
		d.Errorf("%x (%d bytes, %d in the first piece): %v", head(a.packet), len(a.packet), a.first, errno)
	}
	return d.attr.result
}

// change does one of the things that happen to a classifier.
func (d *duel) change() {
	port, slot := fewPorts[d.random.IntN(len(fewPorts))], fewSlots[d.random.IntN(len(fewSlots))]
	e := fewEncodings[d.random.IntN(len(fewEncodings))]
	id := identifier(e.Length, d.random.IntN(4))
	switch d.random.IntN(16) {
	case 0:
		d.takePort(port, Exclusive(slot))
	case 1, 2, 3, 4:
		d.takePort(port, Shared(e))
	case 5:
		if _, ok := d.ports[port]; ok {
			d.deletePort(port)
		}
	case 6, 7, 8, 9, 10, 11:
		if _, ok := d.identifiers[named{port, id}]; !ok {
			d.putIdentifier(port, id, slot)
		} else if d.random.IntN(4) == 0 {
			d.deleteIdentifier(port, id)
		}
	case 12:
		if d.sockets[place{slot, 0}] && d.random.IntN(4) == 0 {
			d.deleteSocket(slot, 0)
		} else {
			d.putSocket(slot, 0)
		}
	case 13:
		var list []netip.Addr
		for _, a := range fewAddresses {
			if d.random.IntN(8) != 0 {
				list = append(list, a)
			}
		}
		d.setAddresses(list...)
	case 14:
		if d.paused[0] || d.random.IntN(4) != 0 {
			d.resume(0)
		} else {
			d.pause(0)
		}
	}
}
