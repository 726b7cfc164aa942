// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/route"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// Map is an XSKMAP of the application's, whose entries are the queues of one interface.
type Map struct {
	Ifindex int
	FD      int // stays the caller's, and is not needed once the engine is open
}

// OpenMapped makes an engine in map mode. The application has an XDP program of its own, and
// the engine does nothing but put its socket for each queue of the interfaces into
// their maps, under the number of the queue: it attaches no program and makes no rule. What
// the program does not redirect reaches nobody.
//
// Of two maps of one interface the first counts. Interfaces that do not exist are left out,
// and returned. All others are served whole, or nothing is: when OpenMapped fails it has
// taken all of its sockets out again.
//
// It takes no privilege but CAP_NET_RAW, for AF_XDP sockets, and not even that where another
// member of the pool lends them: see docs/XDP.md. Errors: [MapTakenError], those of
// [pool.Member.Join], and what the kernel says of the maps.
func OpenMapped(o Options, list []Map) (e *Engine, absent []int, err error) {
	if o.Transmit == TransmitKernel {
		return nil, nil, errors.New("sends are asked to go by kernel sockets, and there are none in map mode")
	}
	o.Transmit = TransmitXDP
	e = newEngine(o)
	e.mapped = true
	present, absent := interfacesOf(list)
	if err = e.openMaps(list, present); err != nil {
		return nil, nil, err
	}
	if e.table, err = route.NewTable(route.TableOptions{}); err != nil {
		e.net.close()
		return nil, nil, err
	}
	return e, absent, nil
}

// interfacesOf looks up the interfaces of maps, each once.
func interfacesOf(list []Map) (present, absent []int) {
	seen := map[int]bool{}
	for _, m := range list {
		if seen[m.Ifindex] {
			continue
		}
		seen[m.Ifindex] = true
		if _, err := net.InterfaceByIndex(m.Ifindex); err == nil {
			present = append(present, m.Ifindex)
		} else {
			absent = append(absent, m.Ifindex)
		}
	}
	return present, absent
}

// openMaps joins every queue of the interfaces. Without one it is enough that AF_XDP could
// be had: who has no raw datapath at all must be told so.
func (e *Engine) openMaps(list []Map, present []int) (err error) {
	if len(present) == 0 && !Available(e.options) {
		return errors.New("none of the interfaces of the maps exists, and there is no other that AF_XDP could serve")
	}
	features, err := probe()
	if err != nil {
		return err
	}
	if e.net, err = openNetwork(e, mapKernel(list), features); err != nil {
		return err
	}
	if err = e.net.serveAll(present); err != nil {
		e.net.close()
	} else {
		e.net.post()
	}
	return err
}

// serveAll serves these interfaces, or none.
func (n *network) serveAll(present []int) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return kerr.New("socket", "AF_NETLINK, NETLINK_ROUTE", err, "")
	}
	defer h.Close()
	v, err := look(h)
	if err != nil {
		return err
	}
	n.meet(v)
	for _, index := range present {
		d := n.devices[index]
		if d == nil {
			return fmt.Errorf("interface %d is gone", index)
		}
		if err := n.engine.options.unmapped(&d.link); err != nil {
			return fmt.Errorf("interface %s: %w", d.link.name, err)
		}
		if n.serve(d, time.Now()); !d.served {
			return fmt.Errorf("interface %s: %w", d.link.name, d.reason)
		}
	}
	return nil
}

// unmapped says why an interface cannot be served that was asked for. Whoever names it
// knows of its addresses.
func (o Options) unmapped(l *netif) error {
	if len(o.Interfaces) == 0 {
		o.Interfaces = List{l.name}
	}
	return o.unfit(l)
}
