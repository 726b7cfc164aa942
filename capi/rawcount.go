// SPDX-License-Identifier: MIT

package main

/*
#include "../datapath/batch/batch.h"
#include "msquicxdp/msquicxdp.h"
*/
import "C"

import (
	"maps"
	"slices"
	"sync"

	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/xdp"
)

// raws are the engines of all datapaths, and why others have none.
var raws = struct {
	sync.Mutex
	engines  map[*xdp.Engine]bool
	refusals map[C.uint64_t]*xdp.Refusal // by the address of the datapath
}{engines: map[*xdp.Engine]bool{}, refusals: map[C.uint64_t]*xdp.Refusal{}}

// opened notes an engine.
func opened(e *xdp.Engine) {
	raws.Lock()
	defer raws.Unlock()
	raws.engines[e] = true
}

// closing forgets an engine, which nobody counts any more on return.
func closing(e *xdp.Engine) {
	raws.Lock()
	defer raws.Unlock()
	delete(raws.engines, e)
}

// refused tells other processes why a datapath has no engine.
func refused(datapath C.uint64_t, why error) {
	raws.Lock()
	defer raws.Unlock()
	if r := raws.refusals[datapath]; r != nil {
		r.Again(why)
	} else if r := xdp.Refuse(why); r != nil {
		raws.refusals[datapath] = r
	}
}

func forgive(datapath C.uint64_t) {
	raws.Lock()
	defer raws.Unlock()
	if r := raws.refusals[datapath]; r != nil {
		r.Withdraw()
		delete(raws.refusals, datapath)
	}
}

//export mqxGoRawForgive
func mqxGoRawForgive(datapath C.uint64_t) {
	defer stay()()
	defer func() { _ = recover() }()
	forgive(datapath)
}

//export mqxGoRawCount
func mqxGoRawCount(sum *C.struct_msquicxdp_xdp_counters) {
	defer stay()()
	defer func() { _ = recover() }()
	raws.Lock()
	defer raws.Unlock()
	c := xdp.Count(slices.Collect(maps.Keys(raws.engines)))
	for reason, to := range map[classifier.Reason]*C.uint64_t{
		classifier.Redirected: &sum.redirected, classifier.NotIP: &sum.not_ip, classifier.Tagged: &sum.vlan_tag,
		classifier.Malformed: &sum.malformed, classifier.Fragment: &sum.ip_fragment, classifier.Extension: &sum.ipv6_extension,
		classifier.NotUDP: &sum.not_udp, classifier.NoPort: &sum.no_rule, classifier.NotLocal: &sum.not_local,
		classifier.TooLong: &sum.too_long, classifier.TooShort: &sum.too_short, classifier.NoIdentifier: &sum.no_identifier,
		classifier.UnknownIdentifier: &sum.unknown_identifier, classifier.Paused: &sum.paused, classifier.NoSocket: &sum.no_socket,
	} {
		*to = C.uint64_t(c.Packets[reason])
	}
	sum.rx_ring_full, sum.rx_dropped = C.uint64_t(c.Sockets.RXRingFull), C.uint64_t(c.Sockets.RXDropped)
	sum.fill_empty, sum.tx_invalid, sum.tx_empty = C.uint64_t(c.Sockets.FillEmpty), C.uint64_t(c.Sockets.TXInvalid), C.uint64_t(c.Sockets.TXEmpty)
}
