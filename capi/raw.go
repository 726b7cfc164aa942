// SPDX-License-Identifier: MIT

package main

/*
#include "../datapath/batch/batch.h"
#include "msquicxdp/msquicxdp.h"
#include <stdbool.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime/cgo"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/classifier"
	"github.com/msquicxdp/msquicxdp/datapath/xdp"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// engine is the AF_XDP side of a datapath, which C knows by a number that is not 0.
func engine(n C.uint64_t) *xdp.Engine { return cgo.Handle(n).Value().(*xdp.Engine) }

// queue is the engine's queue that an endpoint stands for.
func queue(e *C.MqxEndpoint) *xdp.Queue {
	return cgo.Handle(endpoint(e).Lease).Value().(*xdp.Queue)
}

// xdpOptions reads what capi/options.c has checked.
func xdpOptions(c *C.MqxXdpConfig) (o xdp.Options, err error) {
	var errs [2]error
	o.Interfaces, errs[0] = xdp.ParseList(C.GoString(&c.Interfaces[0]))
	o.Deny, errs[1] = xdp.ParseList(C.GoString(&c.Deny[0]))
	switch c.Attach {
	case C.MSQUICXDP_ATTACH_NATIVE:
		o.Attach = classifier.Native
	case C.MSQUICXDP_ATTACH_GENERIC:
		o.Attach = classifier.Generic
	}
	switch c.ZeroCopy {
	case C.MSQUICXDP_ZEROCOPY_REQUIRE:
		o.ZeroCopy = xdp.ZeroCopyRequire
	case C.MSQUICXDP_ZEROCOPY_NEVER:
		o.ZeroCopy = xdp.ZeroCopyNever
	}
	switch c.Transmit {
	case C.MSQUICXDP_TRANSMIT_KERNEL:
		o.Transmit = xdp.TransmitKernel
	case C.MSQUICXDP_TRANSMIT_XDP:
		o.Transmit = xdp.TransmitXDP
	}
	return o, errors.Join(errs[:]...)
}

// queueStill is queue for who may come too late: when the interface has gone, what its
// endpoint was is given up, and may be something else's by now. It is nil then.
func queueStill(e *C.MqxEndpoint) (q *xdp.Queue) {
	defer func() { _ = recover() }() // of a handle that is no more
	q, _ = cgo.Handle(endpoint(e).Lease).Value().(*xdp.Queue)
	return q
}

//export mqxGoRawAvailable
func mqxGoRawAvailable(config *C.MqxXdpConfig) (available C.int) {
	defer stay()()
	defer func() { _ = recover() }()
	if o, err := xdpOptions(config); err == nil && xdp.Available(o) {
		return 1
	}
	return 0
}

//export mqxGoRawOpen
func mqxGoRawOpen(datapath C.uint64_t, config *C.MqxXdpConfig, reason *C.char) (number C.uint64_t) {
	defer stay()()
	var status C.int
	defer containInto(&status, reasonBuffer(reason))
	o, err := xdpOptions(config)
	var e *xdp.Engine
	if err == nil {
		e, err = xdp.Open(o)
	}
	if err != nil {
		failed(err, reasonBuffer(reason))
		refused(datapath, err)
		return 0
	}
	forgive(datapath)
	opened(e)
	return C.uint64_t(cgo.NewHandle(e))
}

// lend puts what an endpoint stands for where its events find it.
func lend(e *C.MqxEndpoint, value any) { endpoint(e).Lease = uint64(cgo.NewHandle(value)) }

//export mqxGoRawForget
func mqxGoRawForget(e *C.MqxEndpoint) {
	defer stay()()
	defer func() { _ = recover() }()
	ep := endpoint(e)
	if ep.Lease != 0 {
		cgo.Handle(ep.Lease).Delete()
	}
	ep.Lease = 0
}

//export mqxGoRawWatch
func mqxGoRawWatch(number C.uint64_t, answers *C.MqxEndpoint, reason *C.char) (status C.int) {
	defer stay()()
	defer containInto(&status, reasonBuffer(reason))
	e := engine(number)
	lend(answers, e)
	return failed(e.Watch(endpoint(answers)), reasonBuffer(reason))
}

//export mqxGoRawWaits
func mqxGoRawWaits(number C.uint64_t) (waits C.int) {
	defer stay()()
	defer func() { _ = recover() }()
	if engine(number).Waits() {
		return 1
	}
	return 0
}

//export mqxGoRawMap
func mqxGoRawMap(config *C.MqxXdpConfig, list *C.CXPLAT_XDP_MAP_CONFIG, count C.uint32_t, reason *C.char) (number C.uint64_t) {
	defer stay()()
	var status C.int
	defer containInto(&status, reasonBuffer(reason))
	var maps []xdp.Map
	for _, m := range unsafe.Slice(list, int(count)) { // Safety: C passes an array of count elements
		maps = append(maps, xdp.Map{Ifindex: int(m.InterfaceIndex), FD: int(m.MapHandle)})
	}
	o, err := xdpOptions(config)
	var e *xdp.Engine
	var absent []int
	if err == nil {
		e, absent, err = xdp.OpenMapped(o, maps)
	}
	if err != nil {
		failed(err, reasonBuffer(reason))
		return 0
	}
	if len(absent) != 0 {
		batch.SetReason(reasonBuffer(reason), fmt.Sprintf("there are no interfaces of the numbers %v: their maps stay empty", absent))
	}
	opened(e)
	return C.uint64_t(cgo.NewHandle(e))
}

//export mqxGoRawServe
func mqxGoRawServe(number C.uint64_t, e *C.MqxEndpoint, partitions C.uint16_t) (status C.int) {
	defer stay()()
	defer contain(&status)
	q := engine(number).Next()
	if q == nil {
		return C.int(unix.ENOENT)
	}
	lend(e, q)
	return C.int(kerr.Errno(engine(number).Serve(q, endpoint(e), int(partitions))))
}

//export mqxGoRawEnded
func mqxGoRawEnded(e *C.MqxEndpoint) (ended C.int) {
	defer stay()()
	defer func() { _ = recover() }()
	if queue(e).Ended() {
		return 1
	}
	return 0
}

//export mqxGoRawUnwatched
func mqxGoRawUnwatched(e *C.MqxEndpoint) {
	defer stay()()
	defer func() { _ = recover() }()
	queue(e).Unwatched()
}

//export mqxGoRawNote
func mqxGoRawNote(number C.uint64_t, text *C.char) (level C.int) {
	defer stay()()
	defer func() { _ = recover() }()
	note, ok := engine(number).Note()
	if !ok {
		return 0
	}
	batch.SetReason(reasonBuffer(text), note.Text)
	return C.int(note.Level)
}

//export mqxGoRawWhy
func mqxGoRawWhy(number C.uint64_t, reason *C.char) {
	defer stay()()
	var status C.int
	defer containInto(&status, reasonBuffer(reason))
	failed(engine(number).Why(), reasonBuffer(reason))
}

//export mqxGoRawClose
func mqxGoRawClose(number C.uint64_t) {
	defer stay()()
	defer func() { _ = recover() }()
	e := engine(number)
	cgo.Handle(number).Delete()
	closing(e)
	e.Close()
}

//export mqxGoRawTurn
func mqxGoRawTurn(e *C.MqxEndpoint, t *C.MqxTurn) {
	defer stay()()
	defer func() { _ = recover() }()
	queue(e).Turn(endpoint(e), (*batch.Turn)(unsafe.Pointer(t)))
}

//export mqxGoRawSend
func mqxGoRawSend(e, kernel *C.MqxEndpoint, tx *C.MqxTx, later C.bool, by *C.uint8_t) (status C.int) {
	defer stay()()
	defer contain(&status)
	q := queueStill(e)
	switch {
	case q != nil:
		s, sender := q.Send(endpoint(kernel), (*batch.Tx)(unsafe.Pointer(tx)), bool(later))
		*by = C.uint8_t(sender)
		return C.int(s)
	case kernel == nil:
		return C.int(unix.ENETDOWN)
	}
	*by = batch.NotTaken
	return mqxGoSend(kernel, tx)
}

//export mqxGoRawKick
func mqxGoRawKick(e *C.MqxEndpoint) (kicked C.bool) {
	defer stay()()
	defer func() { _ = recover() }()
	return C.bool(queue(e).Kick())
}

//export mqxGoRawAdd
func mqxGoRawAdd(number C.uint64_t, r *C.MqxOpen, ticket *C.uint64_t) (status C.int) {
	defer stay()()
	req := request(r)
	defer containInto(&status, &req.Reason)
	t, err := engine(number).Add(req)
	*ticket = C.uint64_t(t)
	return failed(err, &req.Reason)
}

//export mqxGoRawRemove
func mqxGoRawRemove(number, ticket C.uint64_t) {
	defer stay()()
	defer func() { _ = recover() }()
	engine(number).Remove(uint64(ticket))
}

//export mqxGoRawRules
func mqxGoRawRules(number C.uint64_t) (rules C.uint32_t) {
	defer stay()()
	defer func() { _ = recover() }()
	return C.uint32_t(engine(number).Rules())
}

//export mqxGoRawSource
func mqxGoRawSource(number C.uint64_t, r *C.MqxOpen) {
	defer stay()()
	defer func() { _ = recover() }()
	req := request(r)
	if source, ok := engine(number).Source(&req.Remote, &req.Local); ok {
		req.SetSource(source)
	}
}

//export mqxGoRawResolve
func mqxGoRawResolve(number C.uint64_t, w *C.MqxWay) (outcome C.int) {
	defer stay()()
	outcome = batch.WayKernel
	defer func() { _ = recover() }()
	return C.int(engine(number).Resolve((*batch.Way)(unsafe.Pointer(w))))
}

//export mqxGoRawAnswers
func mqxGoRawAnswers(e *C.MqxEndpoint, list *C.MqxWay, room C.int) (n C.int) {
	defer stay()()
	defer func() { _ = recover() }()
	// Safety: C passes an array of room elements.
	ways := unsafe.Slice((*batch.Way)(unsafe.Pointer(list)), int(room))
	return C.int(cgo.Handle(endpoint(e).Lease).Value().(*xdp.Engine).Answers(ways))
}
