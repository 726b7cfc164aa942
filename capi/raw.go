// SPDX-License-Identifier: MIT

package main

/*
#include "../datapath/batch/batch.h"
*/
import "C"

import (
	"fmt"
	"runtime/cgo"
	"unsafe"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/xdp"
)

// raw is the AF_XDP side of a datapath, which C knows by a number that is not 0.
type raw struct {
	*xdp.Engine
	handles []cgo.Handle // in the leases of its endpoints
}

func (r *raw) handle(value any) uint64 {
	h := cgo.NewHandle(value)
	r.handles = append(r.handles, h)
	return uint64(h)
}

func engine(n C.uint64_t) *raw { return cgo.Handle(n).Value().(*raw) }

// queue is the engine's queue that an endpoint stands for.
func queue(e *C.MqxEndpoint) *xdp.Queue {
	return cgo.Handle(endpoint(e).Lease).Value().(*xdp.Queue)
}

func endpoints(list **C.MqxEndpoint, count C.uint16_t) []*batch.Endpoint {
	// Safety: C passes an array of count pointers.
	return unsafe.Slice((**batch.Endpoint)(unsafe.Pointer(list)), int(count))
}

//export mqxGoRawAvailable
func mqxGoRawAvailable() (available C.int) {
	defer func() { _ = recover() }()
	if xdp.Available() {
		return 1
	}
	return 0
}

//export mqxGoRawOpen
func mqxGoRawOpen(queues *C.uint16_t, reason *C.char) (number C.uint64_t) {
	var status C.int
	defer containInto(&status, reasonBuffer(reason))
	e, err := xdp.Open()
	if err != nil {
		failed(err, reasonBuffer(reason))
		return 0
	}
	*queues = C.uint16_t(len(e.Queues()))
	return C.uint64_t(cgo.NewHandle(&raw{Engine: e}))
}

//export mqxGoRawMap
func mqxGoRawMap(list *C.CXPLAT_XDP_MAP_CONFIG, count C.uint32_t, queues *C.uint16_t, reason *C.char) (number C.uint64_t) {
	var status C.int
	defer containInto(&status, reasonBuffer(reason))
	var maps []xdp.Map
	for _, m := range unsafe.Slice(list, int(count)) { // Safety: C passes an array of count elements
		maps = append(maps, xdp.Map{Ifindex: int(m.InterfaceIndex), FD: int(m.MapHandle)})
	}
	e, absent, err := xdp.OpenMapped(maps)
	if err != nil {
		failed(err, reasonBuffer(reason))
		return 0
	}
	if len(absent) != 0 {
		batch.SetReason(reasonBuffer(reason), fmt.Sprintf("there are no interfaces of the numbers %v: their maps stay empty", absent))
	}
	*queues = C.uint16_t(len(e.Queues()))
	return C.uint64_t(cgo.NewHandle(&raw{Engine: e}))
}

//export mqxGoRawServe
func mqxGoRawServe(
	number C.uint64_t, list **C.MqxEndpoint, count, partitions C.uint16_t, reason *C.char,
) (status C.int) {
	defer containInto(&status, reasonBuffer(reason))
	e := engine(number)
	eps := endpoints(list, count)
	for i, q := range e.Queues() {
		eps[i].Lease = e.handle(q)
	}
	eps[len(eps)-1].Lease = e.handle(e.Engine)
	return failed(e.Serve(eps, int(partitions)), reasonBuffer(reason))
}

//export mqxGoRawClose
func mqxGoRawClose(number C.uint64_t) {
	defer func() { _ = recover() }()
	e := engine(number)
	cgo.Handle(number).Delete()
	e.Close()
	for _, h := range e.handles {
		h.Delete()
	}
}

//export mqxGoRawTurn
func mqxGoRawTurn(e *C.MqxEndpoint, t *C.MqxTurn) {
	defer func() { _ = recover() }()
	queue(e).Turn(endpoint(e), (*batch.Turn)(unsafe.Pointer(t)))
}

//export mqxGoRawSend
func mqxGoRawSend(e, kernel *C.MqxEndpoint, tx *C.MqxTx) (status C.int) {
	defer contain(&status)
	return C.int(queue(e).Send(endpoint(kernel), (*batch.Tx)(unsafe.Pointer(tx))))
}

//export mqxGoRawAdd
func mqxGoRawAdd(number C.uint64_t, r *C.MqxOpen, ticket *C.uint64_t) (status C.int) {
	req := request(r)
	defer containInto(&status, &req.Reason)
	t, err := engine(number).Add(req)
	*ticket = C.uint64_t(t)
	return failed(err, &req.Reason)
}

//export mqxGoRawRemove
func mqxGoRawRemove(number, ticket C.uint64_t) {
	defer func() { _ = recover() }()
	engine(number).Remove(uint64(ticket))
}

//export mqxGoRawRules
func mqxGoRawRules(number C.uint64_t) (rules C.uint32_t) {
	defer func() { _ = recover() }()
	return C.uint32_t(engine(number).Rules())
}

//export mqxGoRawSource
func mqxGoRawSource(number C.uint64_t, r *C.MqxOpen) {
	defer func() { _ = recover() }()
	req := request(r)
	if source, ok := engine(number).Source(&req.Remote, &req.Local); ok {
		req.SetSource(source)
	}
}

//export mqxGoRawResolve
func mqxGoRawResolve(number C.uint64_t, w *C.MqxWay) (outcome C.int) {
	outcome = batch.WayKernel
	defer func() { _ = recover() }()
	return C.int(engine(number).Resolve((*batch.Way)(unsafe.Pointer(w))))
}

//export mqxGoRawAnswers
func mqxGoRawAnswers(e *C.MqxEndpoint, list *C.MqxWay, room C.int) (n C.int) {
	defer func() { _ = recover() }()
	// Safety: C passes an array of room elements.
	ways := unsafe.Slice((*batch.Way)(unsafe.Pointer(list)), int(room))
	return C.int(cgo.Handle(endpoint(e).Lease).Value().(*xdp.Engine).Answers(ways))
}
