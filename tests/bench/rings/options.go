// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// options are those of ../prog/options.h that matter here, and on.
type options struct {
	job           string
	on            string // whose rings: "own" or "pool"
	local, remote netip.Addr
	port          uint16
	size, batch   int
	warmUp, time  time.Duration
	cpu           int
	ifindex       int
	hold          bool             // a sender waits for a byte on its standard input
	mac           net.HardwareAddr // of this end
	peerMAC       net.HardwareAddr
}

// serverPort is the port of a server.
const serverPort = 4433

func parse(args []string) (o *options, err error) {
	o = &options{on: "own", size: 64, batch: 1, time: time.Second}
	for _, arg := range args {
		name, value, isOption := strings.Cut(arg, "=")
		if !isOption {
			o.job = arg
			continue
		}
		if err := o.set(name, value); err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
	}
	i, err := net.InterfaceByIndex(o.ifindex)
	if err != nil {
		return nil, err
	}
	o.mac = i.HardwareAddr
	return o, nil
}

func (o *options) set(name, value string) (err error) {
	n, notNumber := strconv.Atoi(value)
	switch name {
	case "on":
		o.on = value
		return nil
	case "local":
		o.local, err = netip.ParseAddr(value)
		return err
	case "remote":
		o.remote, err = netip.ParseAddr(value)
		return err
	case "peer_mac":
		o.peerMAC, err = net.ParseMAC(value)
		return err
	case "port":
		o.port = uint16(n)
	case "size":
		o.size = n
	case "batch":
		o.batch = n
	case "warmup":
		o.warmUp = time.Duration(n) * time.Millisecond
	case "time":
		o.time = time.Duration(n) * time.Millisecond
	case "cpu":
		o.cpu = n
	case "hold":
		o.hold = n != 0
	case "interface":
		o.ifindex = n
	default:
		return fmt.Errorf("no option has this name")
	}
	return notNumber
}
