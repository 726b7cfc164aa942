// SPDX-License-Identifier: MIT

package ossock

import (
	"fmt"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/ports"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
	"github.com/msquicxdp/msquicxdp/portres/rules"
)

// Open opens every endpoint of a request, all on one port. On failure none
// stays open, and the error says what was refused.
//
// With port 0 the kernel chooses for the first endpoint, and the others follow.
// Nothing is received before [Watch].
func Open(req *batch.Open) error {
	eps := req.Endpoints()
	for _, ep := range eps {
		ep.FD, ep.SpareFD, ep.Kind = -1, -1, req.Kind
	}
	err := openAll(req, eps)
	if err != nil {
		for _, ep := range eps {
			closeFDs(ep)
			endLease(ep)
		}
	}
	return err
}

func openAll(req *batch.Open, eps []*batch.Endpoint) error {
	plan, err := newPlan(req)
	if err != nil {
		return err
	}
	if req.HasRemote {
		return plan.open(eps[0])
	}
	return plan.openListener(eps)
}

// plan is a request in the kernel's terms.
type plan struct {
	req    *batch.Open
	family int
	bind   batch.Addr
	peer   batch.Addr
}

// newPlan chooses the address family.
//
// AF_INET6 with V6ONLY off serves both versions, and is what MsQuic's listeners
// want. Two cases take AF_INET: a connected IPv4 socket, because the kernel
// caches the route of a connected socket only in its own family, and a host
// where IPv6 is switched off.
func newPlan(req *batch.Open) (*plan, error) {
	p := &plan{req: req, family: unix.AF_INET6, bind: req.Local, peer: req.Remote}
	if !req.HasLocal || p.bind.Family == unix.AF_UNSPEC {
		p.bind = batch.Addr{Family: unix.AF_INET6, Port: p.bind.Port}
	}
	for _, a := range []*batch.Addr{&p.bind, &p.peer} {
		if a.Family != unix.AF_INET && a.Family != unix.AF_INET6 && (a == &p.bind || req.HasRemote) {
			return nil, kerr.New("socket", fmt.Sprintf("address family %d", a.Family), unix.EAFNOSUPPORT, "use an IPv4 or an IPv6 address")
		}
	}
	if req.HasRemote && req.Kind == batch.KindUDP && p.peerIsV4() && p.fitsV4() || !haveIPv6() {
		p.family = unix.AF_INET
	}
	return p, p.convert()
}

func (p *plan) peerIsV4() bool { return p.peer.Family == unix.AF_INET || p.peer.IsMapped() }

// fitsV4 reports whether the local address can be named in AF_INET.
func (p *plan) fitsV4() bool {
	return p.bind.Family == unix.AF_INET || p.bind.IsMapped() || p.bind.V6 == [16]byte{}
}

// convert writes both addresses in the family of the socket.
func (p *plan) convert() error {
	if p.family == unix.AF_INET6 {
		p.bind.Map()
		p.peer.Map()
		return nil
	}
	if !p.fitsV4() || p.req.HasRemote && !p.peerIsV4() {
		return kerr.New("socket", "AF_INET6", unix.EAFNOSUPPORT, "this host has IPv6 switched off: use IPv4 addresses")
	}
	if p.bind.Family == unix.AF_INET6 && !p.bind.IsMapped() {
		p.bind = batch.Addr{Family: unix.AF_INET, Port: p.bind.Port}
	}
	p.bind.Unmap()
	p.peer.Unmap()
	p.bind.Scope, p.peer.Scope = 0, 0
	return nil
}

// haveIPv6 asks by making a socket: the only test that no sysctl or seccomp
// filter can belie. Whether the kernel has the family does not change while it runs.
var haveIPv6 = sync.OnceValue(func() bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err != unix.EAFNOSUPPORT
})

// maxPortTries bounds how often a client asks for another ephemeral port.
const maxPortTries = 16

// open opens one endpoint. A client whose ephemeral port happens to be that of
// its peer is opened again: with equal ports MsQuic cannot tell both ends apart
// on one host. The unlucky socket stays open meanwhile, so that the kernel
// cannot choose its port a second time.
func (p *plan) open(ep *batch.Endpoint) error {
	var unlucky []int
	defer func() {
		for _, fd := range unlucky {
			unix.Close(fd)
		}
	}()
	for {
		if err := p.openOnce(ep); err != nil {
			return err
		}
		chosen := p.req.HasRemote && p.portIsFree()
		if !chosen || ep.Local.Port != p.peer.Port || len(unlucky) == maxPortTries {
			return nil
		}
		unlucky = append(unlucky, int(ep.FD))
		ep.FD = -1
		endLease(ep)
	}
}

func (p *plan) openOnce(ep *batch.Endpoint) error {
	fd, err := p.newSocket()
	if err != nil {
		return err
	}
	ep.FD = int32(fd)
	if err := p.bindAndConnect(ep); err != nil {
		return err
	}
	return p.settle(ep)
}

// newSocket makes an unbound socket with all its options.
func (p *plan) newSocket() (int, error) {
	kind := unix.SOCK_DGRAM
	if p.req.Kind != batch.KindUDP {
		kind = unix.SOCK_STREAM
	}
	fd, err := unix.Socket(p.family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, kerr.New("socket", p.describe(), err, "raise the limit of open files (ulimit -n) if it is reached")
	}
	if err = p.configure(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (p *plan) configure(fd int) error {
	if p.req.Kind != batch.KindUDP {
		if err := lingerReset(fd); err != nil {
			return err
		}
	}
	if err := p.checkInterface(fd); err != nil {
		return err
	}
	return setOptions(fd, p.options())
}

// portIsFree reports whether the kernel chooses the port. It must do so before
// the socket may share one, or it could choose the port of another group.
func (p *plan) portIsFree() bool { return p.bind.Port == [2]byte{} }

func (p *plan) bindAndConnect(ep *batch.Endpoint) error {
	fd := int(ep.FD)
	if p.req.Share && !p.portIsFree() {
		if err := p.sharePort(ep, p.bind.PortNumber()); err != nil {
			return err
		}
	}
	if err := bind(fd, &p.bind); err != nil {
		return p.refused(err)
	}
	if p.req.Share && p.portIsFree() {
		local, err := sockname(fd)
		if err != nil {
			return kerr.New("getsockname", p.describe(), err, "")
		}
		if err := p.sharePort(ep, local.PortNumber()); err != nil {
			return err
		}
	}
	if err := connect(fd, &p.peer); err != nil && err != unix.EINPROGRESS {
		return kerr.New("connect", p.describe(), err, "")
	}
	ep.Remote = p.peer
	ep.Connected = p.req.Kind == batch.KindUDP
	if p.req.Kind == batch.KindTCP {
		ep.TCPState.Store(tcpConnecting)
	}
	return nil
}

// sharePort lets other client sockets of this process have the port too, and
// nobody else.
func (p *plan) sharePort(ep *batch.Endpoint, port uint16) error {
	lease, err := ports.ShareClientPort(p.proto(), port)
	if err != nil {
		return err
	}
	keepLease(ep, lease)
	return setOptions(int(ep.FD), []option{shareOption})
}

// refused words the kernel's refusal to bind, with the holder of the port where it can be found.
func (p *plan) refused(err error) error {
	if err == unix.EADDRINUSE {
		if refusal := ports.Refusal(p.proto(), p.bind.PortNumber()); refusal != nil {
			return refusal
		}
	}
	return kerr.New("bind", p.describe(), err, bindHint(err))
}

const listenBacklog = 100

func bindHint(err error) string {
	switch err {
	case unix.EADDRINUSE:
		return "another socket holds the port; `ss -uanp` or `ss -tanp` names it"
	case unix.EADDRNOTAVAIL:
		return "no interface of this network namespace has that address"
	case unix.EACCES:
		return "ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE"
	}
	return ""
}

// readLocal stores the address that the kernel gave, as MsQuic compares it: un-mapped, without scope.
func (p *plan) readLocal(ep *batch.Endpoint) error {
	local, err := sockname(int(ep.FD))
	if err != nil {
		return kerr.New("getsockname", p.describe(), err, "")
	}
	local.Unmap()
	local.Scope = 0
	ep.Local = local
	return nil
}

func (p *plan) proto() rules.Proto {
	if p.req.Kind == batch.KindUDP {
		return rules.UDP
	}
	return rules.TCP
}

func (p *plan) describe() string {
	s := p.proto().String() + " " + p.bind.AddrPort().String()
	if p.req.HasRemote {
		s += " to " + p.peer.AddrPort().String()
	}
	if p.req.InterfaceIndex != 0 {
		s += " on interface " + strconv.Itoa(int(p.req.InterfaceIndex))
	}
	return s
}
