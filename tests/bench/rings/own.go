// SPDX-License-Identifier: MIT

package main

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
)

// Sizes are those of the plain loop.
const (
	ring      = 512
	sends     = 256
	rxChunks  = ring + 1024
	chunk     = 2048
	bigRing   = 2048
	slot      = 0 // in the classifier
	patience  = time.Second
	txBudget  = turn
	checksum  = 34 // where that of UDP starts
	inPacket  = 6  // and where it is from there
	checksums = true
)

// own is a socket whose UMEM and rings nobody shares; the rings are those that could be shared.
type own struct {
	*xsk.Socket
	umem       xsk.UMEM
	fill       *xsk.SharedFill
	done       *xsk.SharedCompletion
	classifier *classifier.Classifier
	descs, out [turn]xsk.Desc
	chunks     [2 * turn]uint64
	n          int
	next       uint32

	// Chunks that packets are sent back from, oldest first:
	flying       [bigRing]uint64
	sent, landed uint32
}

func openOwn(o *options) (port, error) {
	c, err := classify(o)
	if err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(-1, 0, (rxChunks+sends)*chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	p := &own{umem: xsk.UMEM{Memory: memory, Chunk: chunk, Metadata: true}, classifier: c}
	p.Socket, err = xsk.Create(&p.umem, xsk.ModeCopy, xsk.Config{
		Interface: o.ifindex, RX: ring, TX: sends, Fill: bigRing, Completion: bigRing, TXBudget: txBudget, Patience: patience,
	})
	if err != nil {
		return nil, err
	}
	if p.fill, err = xsk.NewSharedFill(p.Fill, chunk); err != nil {
		return nil, err
	}
	if p.done, err = xsk.NewSharedCompletion(p.Completion, make([]uint32, rxChunks+sends), 0, chunk); err != nil {
		return nil, err
	}
	for i := range uint64(rxChunks) {
		p.fill.Push([]uint64{i * chunk})
	}
	return p, c.PutSocket(slot, 0, p.FD())
}

// classify attaches the classifier, with a rule for the port.
func classify(o *options) (*classifier.Classifier, error) {
	c, err := classifier.Load(classifier.Options{LongestPacket: 1514})
	if err != nil {
		return nil, err
	}
	if _, err := c.Attach(o.ifindex, classifier.Native); err != nil {
		return nil, err
	}
	return c, admit(c, o, slot)
}

// admit lets datagrams to the server's port through to a slot.
func admit(c *classifier.Classifier, o *options, slot uint32) error {
	if err := c.SetAddresses([]netip.Addr{o.local}); err != nil {
		return err
	}
	return c.TakePort(serverPort, classifier.Exclusive(slot))
}

func (p *own) fd() int { return p.FD() }

func (p *own) peek() int {
	p.n = p.RX.Peek(p.descs[:])
	return p.n
}

func (p *own) packet(i int) []byte {
	b, _, _ := p.umem.Packet(p.descs[i])
	return b
}

func (p *own) release() {
	for i := range p.descs[:p.n] {
		p.chunks[i] = p.descs[i].Addr
	}
	p.fill.Push(p.chunks[:p.n])
	p.RX.Release(p.n)
}

func (p *own) send(n int, write func(int, []byte) int) bool {
	p.done.Reap(2 * turn)
	if p.TX.Reserve(n) < n {
		return false
	}
	for i := range uint32(n) { // chunks come back in the order in which they left
		if p.done.Busy(rxChunks + (p.next+i)%sends) {
			return false
		}
	}
	for i := range n {
		c := rxChunks + p.next%sends
		start := int(c)*chunk + xsk.MetadataSize
		length := write(i, p.umem.Memory[start:int(c+1)*chunk])
		xsk.RequestChecksum(p.umem.Memory[start-xsk.MetadataSize:start], checksum, inPacket)
		p.done.Begin(c)
		p.out[i] = xsk.Desc{Addr: uint64(start), Len: uint32(length), Options: xsk.OptionMetadata}
		p.next++
	}
	p.TX.Submit(p.out[:n])
	return true
}

// sendBack sends packets from where they are, as the plain loop does.
func (p *own) sendBack() bool {
	p.land()
	if p.TX.Reserve(p.n) < p.n {
		return false
	}
	for i, d := range p.descs[:p.n] {
		turnAround(p.packet(i))
		p.done.Begin(uint32(d.Addr / chunk))
		p.flying[p.sent%bigRing] = d.Addr
		p.sent++
	}
	p.TX.Submit(p.descs[:p.n])
	p.RX.Release(p.n)
	return true
}

// land gives those chunks to FILL that packets have been sent back from: they land in the
// order in which they left.
func (p *own) land() {
	p.done.Reap(len(p.chunks))
	chunks := p.chunks[:0]
	for p.landed != p.sent && len(chunks) < len(p.chunks) {
		addr := p.flying[p.landed%bigRing]
		if p.done.Busy(uint32(addr / chunk)) {
			break
		}
		chunks = append(chunks, addr)
		p.landed++
	}
	p.fill.Push(chunks)
}

func (p *own) kick() {
	if p.TX.NeedWakeup() {
		p.Transmit()
	}
}

func (p *own) close() {
	p.Close()
	p.classifier.Close()
}
