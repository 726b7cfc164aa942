// SPDX-License-Identifier: MIT

package main

import (
	"net/netip"

	"github.com/msquicxdp/msquicxdp/datapath/frame"
)

// headers is how long those of the plain loop's packets are.
const headers = 14 + 20 + 8

// seen makes a job fetch what it receives.
var seen byte

func receive(p port, m *meter) {
	ready()
	for m.goesOn() {
		n := p.peek()
		if n == 0 {
			m.now.RxCalls++
			wait(p)
			continue
		}
		for i := range n {
			b := p.packet(i)
			m.now.Bytes += uint64(len(b) - headers)
			seen ^= b[headers]
		}
		m.now.Datagrams += uint64(n)
		p.release()
	}
}

// template is one packet of a sender, complete but for the rest of its checksum.
func template(o *options) []byte {
	var h frame.Headers
	flow := flowOf(o)
	if err := h.Set(&flow); err != nil {
		panic(err)
	}
	b := make([]byte, h.Len()+o.size)
	b[h.Len()] = 0x40 // a short header of QUIC
	if err := h.Put(b, frame.Partial); err != nil {
		panic(err)
	}
	return b
}

func flowOf(o *options) frame.Flow {
	return frame.Flow{
		SourceMAC: frame.MAC(o.mac), DestinationMAC: frame.MAC(o.peerMAC),
		Source: ip(o.local), Destination: ip(o.remote), SourcePort: serverPort, DestinationPort: o.port,
	}
}

func ip(a netip.Addr) frame.IP { return frame.From4(a.As4()) }

func send(p port, m *meter) {
	packet := template(m.o)
	write := func(_ int, to []byte) int { return copy(to, packet) }
	hold(m.o)
	for m.goesOn() {
		if p.send(m.o.batch, write) {
			m.now.Datagrams += uint64(m.o.batch)
			m.now.Bytes += uint64(m.o.batch * m.o.size)
		}
		m.now.TxCalls++
		p.kick()
	}
}

func echo(p port, m *meter) {
	ready()
	for m.goesOn() {
		n := p.peek()
		if n == 0 {
			m.now.RxCalls++
			p.kick() // what the kernel has left of the last time
			wait(p)
			continue
		}
		for i := range n {
			m.now.Bytes += uint64(len(p.packet(i)) - headers)
		}
		m.now.Datagrams += uint64(n)
		for !p.sendBack() && !m.stop.Load() {
			m.now.TxCalls++
			p.kick()
		}
		m.now.TxCalls++
		p.kick()
	}
}

func turnAround(b []byte) {
	exchange(b[0:6], b[6:12])
	exchange(b[26:30], b[30:34])
	exchange(b[34:36], b[36:38])
}

func exchange(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}
