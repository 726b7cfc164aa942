// SPDX-License-Identifier: MIT

package main

/*
#include "../datapath/batch/batch.h"
#include "rss.h"
*/
import "C"

import (
	"errors"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/ethtool"
	"github.com/msquicxdp/msquicxdp/datapath/route"
)

func reasonBuffer(reason *C.char) *[batch.ReasonSize]byte {
	// Safety: C passes MQX_REASON bytes.
	return (*[batch.ReasonSize]byte)(unsafe.Pointer(reason))
}

// addrOf makes a QUIC_ADDR without a port. A link-local address is of no use
// without its interface, which goes into the scope.
func addrOf(ip netip.Addr, ifindex int) batch.Addr {
	a := batch.AddrFrom(netip.AddrPortFrom(ip, 0))
	if ip.Is6() && ip.IsLinkLocalUnicast() {
		a.Scope = uint32(ifindex)
	}
	return a
}

//export mqxGoLocalAddresses
func mqxGoLocalAddresses(list unsafe.Pointer, room C.uint32_t, count *C.uint32_t, reason *C.char) (status C.int) {
	defer stay()()
	defer containInto(&status, reasonBuffer(reason))
	adapters, err := route.LocalAddresses()
	if err != nil {
		return failed(err, reasonBuffer(reason))
	}
	*count = C.uint32_t(len(adapters))
	out := unsafe.Slice((*C.CXPLAT_ADAPTER_ADDRESS)(list), room) // Safety: C passes room elements
	for i := range min(len(out), len(adapters)) {
		a := &adapters[i]
		*(*batch.Addr)(unsafe.Pointer(&out[i].Address)) = addrOf(a.Addr, a.Index)
		out[i].InterfaceIndex = C.uint32_t(a.Index)
		out[i].InterfaceType = C.uint16_t(a.Type)
		out[i].OperationStatus = C.CXPLAT_OPERATION_STATUS(a.Status)
	}
	return 0
}

//export mqxGoGateways
func mqxGoGateways(list unsafe.Pointer, room C.uint32_t, count *C.uint32_t, reason *C.char) (status C.int) {
	defer stay()()
	defer containInto(&status, reasonBuffer(reason))
	gateways, err := route.Gateways()
	if errors.Is(err, route.ErrNoGateway) {
		batch.SetReason(reasonBuffer(reason), err.Error())
		return C.int(unix.ENOENT)
	}
	if err != nil {
		return failed(err, reasonBuffer(reason))
	}
	*count = C.uint32_t(len(gateways))
	out := unsafe.Slice((*batch.Addr)(list), room) // Safety: C passes room elements
	for i := range min(len(out), len(gateways)) {
		out[i] = addrOf(gateways[i].Addr, gateways[i].Index)
	}
	return 0
}

//export mqxGoLocalAddressFor
func mqxGoLocalAddressFor(remote, local *C.QUIC_ADDR, reason *C.char) (status C.int) {
	defer stay()()
	defer containInto(&status, reasonBuffer(reason))
	peer := (*batch.Addr)(unsafe.Pointer(remote))
	ip := peer.IP()
	if !ip.IsValid() {
		batch.SetReason(reasonBuffer(reason), "the remote address is neither IPv4 nor IPv6")
		return C.int(unix.EINVAL)
	}
	opts := route.LookupOptions{Port: peer.PortNumber()}
	if ip.Is6() && ip.IsLinkLocalUnicast() {
		opts.Interface = int(peer.Scope)
	}
	source, ifindex, err := route.LocalAddressFor(ip, opts)
	if err != nil {
		return failed(err, reasonBuffer(reason))
	}
	*(*batch.Addr)(unsafe.Pointer(local)) = addrOf(source, ifindex)
	return 0
}

//export mqxGoRss
func mqxGoRss(ifindex C.uint32_t, out *C.MqxRss, reason *C.char) (status C.int) {
	defer stay()()
	defer containInto(&status, reasonBuffer(reason))
	c, err := ethtool.GetRSS(int(ifindex))
	if err != nil {
		return failed(err, reasonBuffer(reason))
	}
	out.HashTypes = C.uint32_t(c.Types)
	out.KeyLength = C.uint32_t(len(c.Key))
	out.TableCount = C.uint32_t(len(c.Table))
	for i, b := range c.Key {
		out.Key[i] = C.uint8_t(b)
	}
	for i, queue := range c.Table {
		out.Table[i] = C.uint32_t(queue)
	}
	return 0
}

// The bounds are the same in C.
var (
	_ [ethtool.MaxKey]byte   = [C.MQX_RSS_KEY]byte{}
	_ [ethtool.MaxTable]byte = [C.MQX_RSS_TABLE]byte{}
)
