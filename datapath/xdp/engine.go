// SPDX-License-Identifier: MIT

package xdp

import (
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/route"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Engine serves the queues of one datapath. Its methods may be called on any
// thread of the network namespace in which it was opened.
type Engine struct {
	net      *network
	table    *route.Table
	demux    demux
	answers  *answers
	transmit Transmit
	mapped   bool // in map mode: nobody else looks after ports

	mu        sync.Mutex // of what follows
	tickets   uint64
	receivers map[uint64]*receiver
}

// Open makes an engine on the interfaces of the calling thread's network
// namespace that are worth it. It fails when there is none, with the reason of
// each.
func Open() (*Engine, error) {
	e := &Engine{answers: newAnswers(), receivers: map[uint64]*receiver{}}
	var err error
	if e.transmit, err = transmitFromEnv(); err != nil {
		return nil, err
	}
	if e.net, err = openNetwork(e); err != nil {
		return nil, err
	}
	if e.table, err = route.NewTable(route.TableOptions{Changed: e.net.refresh}); err != nil {
		e.net.close()
		return nil, err
	}
	e.net.refresh() // what has changed before the table looked
	return e, nil
}

// Queues returns the queues that are served.
func (e *Engine) Queues() []*Queue { return e.net.queues }

// Close ends the engine. Its sockets have been removed, and no turn runs.
func (e *Engine) Close() {
	e.table.Close()
	e.answers.close()
	e.net.close()
}

// Add lets the engine receive for a socket that is open. The ticket ends it.
func (e *Engine) Add(req *batch.Open) (ticket uint64, err error) {
	ep := req.Endpoints()[0]
	r := &receiver{queue: ep.Queue, local: ipOf(&ep.Local), port: ep.Local.PortNumber()}
	for _, ep := range req.Endpoints() {
		r.partitions = append(r.partitions, ep.Partition)
	}
	if req.HasRemote {
		r.connected = true
		r.remote, r.remotePort = ipOf(&req.Remote), req.Remote.PortNumber()
	}
	if c := &ep.CIBIR; c.Length != 0 {
		r.id, err = cibir.NewID(c.ID[:c.Length])
		r.encoding = cibir.Encoding{Length: c.Length, SourceOffset: c.SourceOffset, DestinationOffset: c.DestinationOffset}
		if err != nil {
			return 0, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mapped && e.demux.crosses(r) {
		return 0, kerr.New("socket", "UDP "+ep.Local.AddrPort().String()+", map mode", unix.EADDRINUSE, "another socket of this datapath receives what is for it")
	}
	e.demux.add(r) // before the first datagram can come
	if err := e.net.direct(r); err != nil {
		e.demux.remove(r)
		return 0, err
	}
	e.tickets++
	e.receivers[e.tickets] = r
	return e.tickets, nil
}

// Remove ends what Add began.
func (e *Engine) Remove(ticket uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.receivers[ticket]; r != nil {
		delete(e.receivers, ticket)
		e.net.undirect(r, e.demux.remove(r))
	}
}

// Rules returns how many rules redirect datagrams to the engine.
func (e *Engine) Rules() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.net.rules
}

// query words a way for the routing table. Ports are left out, so that all
// connections between two hosts go by one answer of the kernel's.
func (e *Engine) query(remote, local *batch.Addr) *route.Query {
	return &route.Query{
		Remote:     netip.AddrPortFrom(addrOf(remote), 0),
		Local:      netip.AddrPortFrom(addrOf(local), 0),
		Scope:      int(remote.Scope),
		Interfaces: e.net.interfaces,
	}
}

// Source returns the address from which the engine would send to a peer. It is
// false when AF_XDP does not lead there.
func (e *Engine) Source(remote, local *batch.Addr) (source netip.Addr, ok bool) {
	a := e.table.Resolve(e.query(remote, local))
	return a.Source, a.State == route.Known || a.State == route.Pending
}

// Resolve answers how datagrams go to a peer: batch.WayKnown, WayPending or
// WayKernel. The answer of a pending one comes by [Engine.Answers].
func (e *Engine) Resolve(w *batch.Way) int32 {
	q := e.query(&w.Remote, &w.Local)
	var a route.Answer
	if w.Again {
		a = e.table.Reverify(q, w.NextHopMAC)
	} else {
		a = e.table.Resolve(q)
	}
	out := e.net.queueOf(a.Index)
	if out == nil || a.State != route.Known && a.State != route.Pending {
		return batch.WayKernel
	}
	port := w.Local.Port
	w.Local = batch.AddrFrom(netip.AddrPortFrom(a.Source.Unmap(), 0))
	w.Local.Port = port
	w.LocalMAC, w.NextHopMAC = a.SourceMAC, a.MAC
	w.Queue = out.name
	if a.State == route.Known {
		return batch.WayKnown
	}
	question := *w
	if err := e.table.Await(q, func(a route.Answer) { e.answers.add(question, a) }); err != nil {
		return batch.WayKernel
	}
	return batch.WayPending
}

// Answers moves what neighbours have answered into dst, and returns how many.
func (e *Engine) Answers(dst []batch.Way) int { return e.answers.take(dst) }

// Serve watches the queues: ep[i] is that of Queues()[i], and the last one is
// told of answers. The datapath has so many partitions.
func (e *Engine) Serve(eps []*batch.Endpoint, partitions int) error {
	if len(eps) != len(e.net.queues)+1 {
		return fmt.Errorf("%d endpoints for %d queues and the answers", len(eps), len(e.net.queues))
	}
	for i, q := range e.net.queues {
		q.crowd.narrow = e.net.width(q.ifindex) < partitions
		if err := q.watch(eps[i]); err != nil {
			return err
		}
	}
	return e.answers.watch(eps[len(eps)-1])
}
