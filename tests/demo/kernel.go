// SPDX-License-Identifier: MIT

package demo

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/msquicxdp/msquicxdp/internal/netns"
)

// KernelUDP counts what the UDP sockets of a namespace have done, over IPv4 and IPv6.
// AF_XDP sockets are none of them. What goes through a socket in one piece counts once,
// also where GRO or GSO make several datagrams of it.
type KernelUDP struct {
	Received int64 // by programs
	Sent     int64
}

func kernelUDP(ns *netns.Namespace) (k KernelUDP, err error) {
	err = ns.Do(func() error {
		v4, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		v6, err := os.ReadFile("/proc/thread-self/net/snmp6")
		if err != nil {
			return err
		}
		k, err = parseUDP(string(v4), string(v6))
		return err
	})
	return k, err
}

// parseUDP reads both tables. The first has a line of names for each protocol, and one
// of numbers below it; the second has a line for each number.
func parseUDP(v4, v6 string) (k KernelUDP, err error) {
	numbers := map[string]string{}
	var names []string
	for line := range strings.Lines(v4) {
		columns := strings.Fields(line)
		if len(columns) == 0 || columns[0] != "Udp:" {
			continue
		}
		for i := range min(len(names), len(columns)) {
			numbers["Udp"+names[i]] = columns[i]
		}
		names = columns
	}
	for line := range strings.Lines(v6) {
		if columns := strings.Fields(line); len(columns) == 2 {
			numbers[columns[0]] = columns[1]
		}
	}
	for _, c := range []struct {
		to   *int64
		name string
	}{
		{&k.Received, "UdpInDatagrams"}, {&k.Received, "Udp6InDatagrams"},
		{&k.Sent, "UdpOutDatagrams"}, {&k.Sent, "Udp6OutDatagrams"},
	} {
		n, err := strconv.ParseInt(numbers[c.name], 10, 64)
		if err != nil {
			return k, fmt.Errorf("the kernel's %s: %w", c.name, err)
		}
		*c.to += n
	}
	return k, nil
}
