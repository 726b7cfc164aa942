// SPDX-License-Identifier: MIT

package main

/*
#cgo CFLAGS: -D_GNU_SOURCE -std=gnu11 -O2 -Wall -Wextra -I${SRCDIR}/../include
#cgo LDFLAGS: -lpthread -ldl
#include "../datapath/batch/batch.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/msquicxdp/msquicxdp/datapath"
	"github.com/msquicxdp/msquicxdp/datapath/batch"
	"github.com/msquicxdp/msquicxdp/datapath/ossock"
	"github.com/msquicxdp/msquicxdp/internal/kerr"
)

// stay keeps Go from making a thread out of the calling one, from which that would have the processor affinity, the
// scheduling class and the network namespace, for ever. Every export begins with it; a few nanoseconds.
func stay() (leave func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// Every export turns a panic into a status: a mistake of ours must not end a
// process that is not ours. EIO is MsQuic's INTERNAL_ERROR.

func contain(status *C.int) {
	if r := recover(); r != nil {
		*status = C.int(unix.EIO)
	}
}

func containInto(status *C.int, reason *[batch.ReasonSize]byte) {
	if r := recover(); r != nil {
		*status = C.int(unix.EIO)
		batch.SetReason(reason, fmt.Sprintf("internal error: %v; please report it", r))
	}
}

// failed stores why and returns the errno.
func failed(err error, reason *[batch.ReasonSize]byte) C.int {
	if err == nil {
		return 0
	}
	batch.SetReason(reason, err.Error())
	return C.int(kerr.Errno(err))
}

func endpoint(e *C.MqxEndpoint) *batch.Endpoint { return (*batch.Endpoint)(unsafe.Pointer(e)) }
func request(r *C.MqxOpen) *batch.Open          { return (*batch.Open)(unsafe.Pointer(r)) }

//export mqxGoReserve
func mqxGoReserve(callers C.uint16_t) {
	defer stay()()
	datapath.Reserve(int(callers))
}

//export mqxGoFeatures
func mqxGoFeatures() (features C.uint32_t) {
	defer stay()()
	defer func() { _ = recover() }()
	return C.uint32_t(datapath.Features())
}

//export mqxGoOpen
func mqxGoOpen(r *C.MqxOpen) (status C.int) {
	defer stay()()
	req := request(r)
	defer containInto(&status, &req.Reason)
	return failed(ossock.Open(req), &req.Reason)
}

//export mqxGoWatch
func mqxGoWatch(r *C.MqxOpen) (status C.int) {
	defer stay()()
	req := request(r)
	defer containInto(&status, &req.Reason)
	for _, ep := range req.Endpoints() {
		if err := ossock.Watch(ep); err != nil {
			return failed(err, &req.Reason)
		}
	}
	return 0
}

//export mqxGoAccept
func mqxGoAccept(listener, conn *C.MqxEndpoint) (status C.int) {
	defer stay()()
	defer contain(&status)
	if err := ossock.Accept(endpoint(listener), endpoint(conn)); err != nil {
		return C.int(kerr.Errno(err))
	}
	return C.int(kerr.Errno(ossock.Watch(endpoint(conn))))
}

//export mqxGoTurn
func mqxGoTurn(e *C.MqxEndpoint, t *C.MqxTurn) {
	defer stay()()
	defer func() { _ = recover() }()
	ossock.Turn(endpoint(e), (*batch.Turn)(unsafe.Pointer(t)))
}

//export mqxGoSend
func mqxGoSend(e *C.MqxEndpoint, tx *C.MqxTx) (status C.int) {
	defer stay()()
	defer contain(&status)
	return C.int(ossock.Send(endpoint(e), (*batch.Tx)(unsafe.Pointer(tx))))
}

//export mqxGoQuiesce
func mqxGoQuiesce(e *C.MqxEndpoint) {
	defer stay()()
	defer func() { _ = recover() }()
	ossock.Quiesce(endpoint(e))
}

//export mqxGoClose
func mqxGoClose(e *C.MqxEndpoint) (waiting *C.MqxTx) {
	defer stay()()
	defer func() { _ = recover() }()
	return (*C.MqxTx)(unsafe.Pointer(ossock.Close(endpoint(e))))
}
