// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/route"
	"github.com/msquicxdp/msquicxdp/datapath/xsk"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Engine serves the queues of one datapath. Its methods may be called on any thread.
//
// It follows what changes on the host: interfaces that come and go, their names and
// addresses, and how many queues they have. Whoever watches queues for it is told
// by the descriptor of the answers that there is something to do: a queue to [Engine.Serve],
// one that has [Queue.Ended], a [Note].
type Engine struct {
	net     *network
	table   *route.Table
	keeper  *keeper
	demux   demux
	answers *answers
	options Options
	mapped  bool // in map mode: nobody else looks after ports, and nothing is followed

	mu        sync.Mutex // of what follows; taken before the network's
	tickets   uint64
	receivers map[uint64]*receiver
	ruled     []*device // whose programs have the rules of all receivers
}

func newEngine(o Options) *Engine {
	return &Engine{answers: newAnswers(), options: o, receivers: map[uint64]*receiver{}}
}

// probe finds out what the kernel has. Who may not try finds that out queue by queue, where
// others may lend a socket.
func probe() (xsk.Features, error) {
	features, err := xsk.Probe()
	if errors.Is(err, xsk.ErrPermission) {
		return xsk.Features{Metadata: true}, nil
	}
	return features, err
}

// Open makes an engine for the calling thread's network namespace. It serves the
// interfaces that are worth it, now and later: there may be none yet, see [Engine.Why].
// It fails where AF_XDP cannot be had whatever the interface.
func Open(o Options) (*Engine, error) {
	e := newEngine(o)
	features, err := probe()
	if err != nil {
		return nil, err
	}
	if e.net, err = openNetwork(e, kernel{o.Attach}, features); err != nil {
		return nil, err
	}
	if e.keeper, err = newKeeper(); err != nil {
		e.net.close()
		return nil, err
	}
	if e.table, err = route.NewTable(route.TableOptions{Changed: e.keeper.look}); err == nil {
		err = e.keeper.start(e.net) // after the table listens, so that no change is missed
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Close ends the engine. Its sockets have been removed, and no turn runs.
func (e *Engine) Close() {
	e.keeper.close()
	if e.table != nil {
		e.table.Close()
	}
	e.answers.close()
	e.net.close()
}

// Why says why no interface is served, each with its reason; nil where one is.
func (e *Engine) Why() error { return e.net.why() }

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
	if err := e.direct(r); err != nil {
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
		e.undirect(r, e.demux.remove(r))
	}
}

// Rules returns how many rules redirect datagrams to the engine.
func (e *Engine) Rules() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rules()
}

// query words a way for the routing table. Ports are left out, so that all
// connections between two hosts go by one answer of the kernel's.
func (e *Engine) query(remote, local *batch.Addr) *route.Query {
	return &route.Query{
		Remote:     netip.AddrPortFrom(addrOf(remote), 0),
		Local:      netip.AddrPortFrom(addrOf(local), 0),
		Scope:      int(remote.Scope),
		Interfaces: e.net.serving.Load().interfaces,
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
	if len(e.net.serving.Load().queues) == 0 {
		return batch.WayKernel
	}
	q := e.query(&w.Remote, &w.Local)
	var a route.Answer
	if w.Again {
		a = e.table.Reverify(q, w.NextHopMAC)
	} else {
		a = e.table.Resolve(q)
	}
	out := e.net.queueOf(a.Index, w.Partition)
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

// Watch lets an endpoint be told of answers, and that there is something to do.
func (e *Engine) Watch(ep *batch.Endpoint) error { return e.answers.watch(ep) }

// Waits reports whether a queue waits for an endpoint.
func (e *Engine) Waits() bool {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	return e.net.first() != nil
}

// Next takes a queue that waits for an endpoint; nil when none does. [Engine.Serve] must
// follow.
func (e *Engine) Next() *Queue { return e.net.take() }

// Serve lets an endpoint watch a queue that Next has returned. The datapath has so many
// partitions.
func (e *Engine) Serve(q *Queue, ep *batch.Endpoint, partitions int) error {
	q.crowd.narrow = e.net.width(q.ifindex) < partitions
	if err := e.net.watch(q, ep); err != nil {
		e.keeper.look() // to leave the seat
		return err
	}
	e.mu.Lock()
	none := len(e.receivers) == 0
	e.mu.Unlock()
	if none { // no work, so it need not be left to the keeper
		e.rule()
	} else {
		e.keeper.look()
	}
	return nil
}
