// SPDX-License-Identifier: MIT

package blocktest

import (
	"unsafe"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// What [NewEndpoint] fills in, to be found again in the datagrams.
const (
	Partition = 3
	CPU       = 1
)

// NewEndpoint makes an endpoint that is not open yet, to be watched by an
// event queue. Its SQE and its queue are values that no other endpoint has.
func NewEndpoint(eventQ int) *batch.Endpoint {
	return &batch.Endpoint{
		SQE: unsafe.Pointer(new(uint64)), Queue: unsafe.Pointer(new(uint64)),
		EventQ: int32(eventQ), Partition: Partition, CPU: CPU,
		FD: -1, SpareFD: -1,
	}
}

// Request asks for a socket that consists of these endpoints.
func Request(kind uint8, eps ...*batch.Endpoint) *batch.Open {
	return &batch.Open{Kind: kind, Endpoint: &eps[0], Count: uint16(len(eps))}
}
