// SPDX-License-Identifier: MIT

package route

import "golang.org/x/sys/unix"

// IfType is the kind of an interface, numbered as in the IANA's ianaiftype,
// which is also what MsQuic's CXPLAT_ADAPTER_ADDRESS takes.
type IfType uint16

const (
	IfTypeOther      IfType = 1
	IfTypeEthernet   IfType = 6 // ethernetCsmacd
	IfTypeFDDI       IfType = 15
	IfTypePPP        IfType = 23
	IfTypeLoopback   IfType = 24 // softwareLoopback
	IfTypeSLIP       IfType = 28
	IfTypeIEEE80211  IfType = 71
	IfTypeTunnel     IfType = 131
	IfTypeIEEE1394   IfType = 144
	IfTypeInfiniBand IfType = 199
)

// ifTypes translates the kernel's ARPHRD_ numbers, which name the hardware
// header. What shows the header of Ethernet counts as Ethernet: bridges,
// bonds, veth, and Wi-Fi outside monitor mode. ARPHRD_NONE is not here: TUN
// and WireGuard have it, but so do mobile modems.
var ifTypes = map[uint16]IfType{
	unix.ARPHRD_ETHER:              IfTypeEthernet,
	unix.ARPHRD_IEEE1394:           IfTypeIEEE1394,
	unix.ARPHRD_INFINIBAND:         IfTypeInfiniBand,
	unix.ARPHRD_SLIP:               IfTypeSLIP,
	unix.ARPHRD_CSLIP:              IfTypeSLIP,
	unix.ARPHRD_SLIP6:              IfTypeSLIP,
	unix.ARPHRD_CSLIP6:             IfTypeSLIP,
	unix.ARPHRD_PPP:                IfTypePPP,
	unix.ARPHRD_TUNNEL:             IfTypeTunnel,
	unix.ARPHRD_TUNNEL6:            IfTypeTunnel,
	unix.ARPHRD_LOOPBACK:           IfTypeLoopback,
	unix.ARPHRD_FDDI:               IfTypeFDDI,
	unix.ARPHRD_SIT:                IfTypeTunnel,
	unix.ARPHRD_IPGRE:              IfTypeTunnel,
	unix.ARPHRD_IP6GRE:             IfTypeTunnel,
	unix.ARPHRD_IEEE80211:          IfTypeIEEE80211,
	unix.ARPHRD_IEEE80211_PRISM:    IfTypeIEEE80211,
	unix.ARPHRD_IEEE80211_RADIOTAP: IfTypeIEEE80211,
}

// ifTypeOf returns the kind of an interface from its ARPHRD_ number.
func ifTypeOf(arphrd uint16) IfType {
	if t, ok := ifTypes[arphrd]; ok {
		return t
	}
	return IfTypeOther
}
