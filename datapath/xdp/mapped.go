// SPDX-License-Identifier: MIT

package xdp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/msquicxdp/msquicxdp/datapath/route"
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
func OpenMapped(list []Map) (e *Engine, absent []int, err error) {
	e = &Engine{answers: newAnswers(), receivers: map[uint64]*receiver{}, mapped: true, transmit: TransmitXDP}
	switch asked, err := transmitFromEnv(); {
	case err != nil:
		return nil, nil, err
	case asked == TransmitKernel:
		return nil, nil, fmt.Errorf("%s asks for kernel sockets, and there are none in map mode", TransmitEnv)
	}
	present, absent := interfacesOf(list)
	if e.net, err = openMaps(e, list, present); err != nil {
		return nil, nil, err
	}
	if e.table, err = route.NewTable(route.TableOptions{}); err != nil {
		e.net.close()
		return nil, nil, err
	}
	return e, absent, nil
}

// interfacesOf looks up the interfaces of maps, each once.
func interfacesOf(list []Map) (present []net.Interface, absent []int) {
	seen := map[int]bool{}
	for _, m := range list {
		if seen[m.Ifindex] {
			continue
		}
		seen[m.Ifindex] = true
		if i, err := net.InterfaceByIndex(m.Ifindex); err == nil {
			present = append(present, *i)
		} else {
			absent = append(absent, m.Ifindex)
		}
	}
	return present, absent
}

// openMaps joins every queue of the interfaces. Without one it is enough that AF_XDP could
// be had: who has no raw datapath at all must be told so.
func openMaps(e *Engine, list []Map, present []net.Interface) (*network, error) {
	if len(present) == 0 {
		if !Available() {
			return nil, errors.New("none of the interfaces of the maps exists, and there is no other that AF_XDP could serve")
		}
		return &network{}, nil
	}
	n, err := enterNetwork(mapKernel(list))
	if err != nil {
		return nil, err
	}
	for _, i := range present {
		err := isServable(&i)
		if err == nil {
			err = n.serve(e, &i)
		}
		if err != nil {
			n.close()
			return nil, fmt.Errorf("interface %s: %w", i.Name, err)
		}
	}
	return n, nil
}

// isServable says why an interface cannot be served that was asked for.
func isServable(i *net.Interface) error {
	switch {
	case i.Flags&net.FlagLoopback != 0 || len(i.HardwareAddr) != 6:
		return errors.New("AF_XDP serves Ethernet only")
	case i.Flags&net.FlagUp == 0:
		return errors.New("it is down: bring it up first")
	case os.Getenv(Env) != "" && !slices.Contains(strings.Split(os.Getenv(Env), ","), i.Name):
		return fmt.Errorf("%s does not name it", Env)
	}
	return nil
}
