// SPDX-License-Identifier: MIT

package demo

import (
	"strings"
	"testing"
)

func TestParseUDP(t *testing.T) {
	const v4 = `Ip: Forwarding DefaultTTL InReceives
Ip: 2 64 100
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors
Udp: 7 1 0 50 0
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors
UdpLite: 900 0 0 900 0
`
	const v6 = `Ip6InReceives                   	17
Udp6InDatagrams                 	8
Udp6OutDatagrams                	3
UdpLite6InDatagrams             	900
`
	if got, err := parseUDP(v4, v6); err != nil || got != (KernelUDP{15, 53}) {
		t.Errorf("parseUDP = %v, %v", got, err)
	}
	for want, tables := range map[string][2]string{
		"UdpInDatagrams":   {strings.Replace(v4, "InDatagrams", "Nothing", 1), v6},
		"Udp6OutDatagrams": {v4, strings.Replace(v6, "\t3", "\tmany", 1)},
	} {
		if _, err := parseUDP(tables[0], tables[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseUDP of spoiled tables: %v, want one about %s", err, want)
		}
	}
}

func TestDropsOfAServer(t *testing.T) {
	s := serve(t, spec{workers: 3})
	drops, err := s.net.Server.UDPDrops(port)
	if err != nil || len(drops) < 3 {
		t.Errorf("UDPDrops = %v, %v, want those of 3 sockets", drops, err)
	}
}
