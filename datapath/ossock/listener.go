// SPDX-License-Identifier: MIT

package ossock

import (
	"errors"
	"net/netip"
	"runtime/cgo"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/cibir"
	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/ports"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// openListener opens the sockets of a listener, on a port that is leased for it.
// The lease stays with the last endpoint, which is closed after the others.
func (p *plan) openListener(eps []*batch.Endpoint) error {
	lease, err := ports.Acquire(p.request(len(eps)))
	if err != nil {
		return p.explain(err)
	}
	keepLease(eps[len(eps)-1], lease)
	for i, fd := range lease.TakeSockets() {
		eps[i].FD = int32(fd)
	}
	for _, ep := range eps {
		if err := p.settle(ep); err != nil {
			return err
		}
		if lease.Shared() {
			ep.CIBIR = p.req.CIBIR
		}
	}
	if p.req.Steer && !lease.Shared() {
		// Without it the kernel spreads flows by hash, each still to one endpoint: only locality is lost.
		_ = steer(int(eps[0].FD), eps)
	}
	if why := lease.Shortfall(); why != nil {
		batch.SetReason(&p.req.Reason, why.Error())
	}
	return nil
}

// request words the plan for package ports.
func (p *plan) request(sockets int) ports.Request {
	r := ports.Request{
		Proto:   p.proto(),
		Addr:    p.address(),
		Device:  p.req.InterfaceIndex != 0,
		XDP:     p.req.XDP,
		Sockets: sockets,
		New:     p.newSocket,
	}
	if p.req.CIBIR.Length != 0 {
		r.ID, r.Encoding = identifier(&p.req.CIBIR)
	}
	return r
}

// address is where to bind, with the interface of a link-local address.
func (p *plan) address() netip.AddrPort {
	a := p.bind.AddrPort()
	if p.bind.Scope == 0 || !a.Addr().IsLinkLocalUnicast() || !a.Addr().Is6() {
		return a
	}
	return netip.AddrPortFrom(a.Addr().WithZone(strconv.FormatUint(uint64(p.bind.Scope), 10)), a.Port())
}

// explain adds to a bind that the kernel refused what a person can do about it.
func (p *plan) explain(err error) error {
	var e *kerr.Error
	if errors.As(err, &e) && e.Op == "bind" && e.Hint == "" {
		return kerr.New("bind", p.describe(), e.Errno, bindHint(e.Errno))
	}
	return err
}

// settle makes a bound socket ready.
func (p *plan) settle(ep *batch.Endpoint) error {
	ep.IsV4 = p.family == unix.AF_INET
	ep.Segment.Store(true)
	if p.req.Kind == batch.KindTCPListener {
		if err := unix.Listen(int(ep.FD), listenBacklog); err != nil {
			return kerr.New("listen", p.describe(), err, bindHint(err))
		}
		ep.SpareFD = openSpare()
	}
	return p.readLocal(ep)
}

// isMine reports whether a datagram carries the identifier of the endpoint, which
// shares its port. The kernel has looked at the first of those that it coalesced,
// and a peer may have put another process's identifier into the ones behind;
// at broadcasts it has not looked at all.
func isMine(ep *batch.Endpoint, datagram []byte) bool {
	mine, encoding := identifier(&ep.CIBIR)
	return encoding.Carries(datagram, &mine)
}

func identifier(c *batch.CIBIR) (cibir.ID, cibir.Encoding) {
	id, _ := cibir.NewID(c.ID[:min(int(c.Length), len(c.ID))])
	return id, cibir.Encoding{Length: c.Length, SourceOffset: c.SourceOffset, DestinationOffset: c.DestinationOffset}
}

// A leaseholder has a port until it is released.
type leaseholder interface{ Release() }

func keepLease(ep *batch.Endpoint, lease leaseholder) { ep.Lease = uint64(cgo.NewHandle(lease)) }

// endLease gives back the port of an endpoint whose socket is closed.
func endLease(ep *batch.Endpoint) {
	if ep.Lease == 0 {
		return
	}
	handle := cgo.Handle(ep.Lease)
	ep.Lease = 0
	handle.Value().(leaseholder).Release()
	handle.Delete()
}
