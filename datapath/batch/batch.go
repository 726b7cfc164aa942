// SPDX-License-Identifier: MIT

// Package batch mirrors the blocks of memory that the C lane and Go share.
//
// batch.h is the specification: it says what each field means, who owns it and
// when. This file repeats only the layouts, and capi/layout.go asserts at
// compile time that both agree.
//
// All of it lives in C memory. A pointer to one of these types may be kept only
// for the length of one call, except that a [Tx] stays in its endpoint's queue
// until Go hands it back.
package batch

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The limits of batch.h.
const (
	RxBatch    = 8
	RxLent     = 16
	RxSlots    = 64
	RxControl  = 128
	Deliveries = 64
	TxSegments = 64
	TxControl  = 96
	IOBuffer   = 65536
	ReasonSize = 512
)

// MaxPayload is the most that one UDP datagram, and so one super-frame, can carry.
const MaxPayload = 65507

// What an endpoint is.
const (
	KindUDP         = 1
	KindTCP         = 2
	KindTCPListener = 3
	KindQueue       = 4
	KindAnswers     = 5
)

// SendQueued is the status of a send that waits in its endpoint's queue.
const SendQueued = -1

// CXPLAT_DATAPATH_TYPE: what a datagram came through, or goes out by.
const (
	DatapathNormal = 1 // a kernel socket
	DatapathRaw    = 2 // AF_XDP
)

// CIBIR is MqxCibir.
type CIBIR struct {
	Length            uint8
	SourceOffset      uint8
	DestinationOffset uint8
	ID                [6]byte
}

// Route is CXPLAT_ROUTE.
type Route struct {
	Queue      unsafe.Pointer
	Remote     Addr
	Local      Addr
	LocalMAC   [6]byte
	NextHopMAC [6]byte
	Type       uint16 // CXPLAT_DATAPATH_TYPE, and the UseQTIP bit above it
	State      int32
	TCPState   [12]byte
}

// RouteResolved is the State of a route that can be sent on.
const RouteResolved = 3

// RecvData is CXPLAT_RECV_DATA.
type RecvData struct {
	Next      *RecvData
	Route     *Route
	Buffer    unsafe.Pointer
	Length    uint16
	Partition uint16
	TOS       uint8
	TTL       uint8
	Flags     uint16
}

// RecvAllocatedNormal is RecvData.Flags of a fresh datagram from a kernel
// socket: Allocated is bit 0, DatapathType bits 2 and 3.
const (
	RecvAllocatedNormal = 1 | DatapathNormal<<2
	RecvAllocatedRaw    = 1 | DatapathRaw<<2
)

// RxSlot is MqxRxSlot.
type RxSlot struct {
	Route    Route
	Block    *Rx
	Reserved uint64
	Data     RecvData
}

// Rx is MqxRx.
type Rx struct {
	Next     *Rx
	Pool     unsafe.Pointer
	Pending  uint32
	Stride   uint32
	Slots    unsafe.Pointer
	Buffer   unsafe.Pointer
	Iov      unix.Iovec
	From     Addr
	Reserved uint32
	Control  [RxControl]byte
}

// Slot returns the i-th slot, 0 <= i < [RxSlots].
func (b *Rx) Slot(i uint32) *RxSlot {
	// Safety: C allocates RxSlots slots of Stride bytes at Slots.
	return (*RxSlot)(unsafe.Add(b.Slots, uintptr(i)*uintptr(b.Stride)))
}

// Bytes returns the whole buffer.
func (b *Rx) Bytes() []byte {
	// Safety: C allocates IOBuffer bytes at Buffer.
	return unsafe.Slice((*byte)(b.Buffer), IOBuffer)
}

// Message is struct mmsghdr.
type Message struct {
	Hdr unix.Msghdr
	Len uint32
	_   uint32
}

// Delivery is MqxDelivery.
type Delivery struct {
	Queue unsafe.Pointer
	Chain *RecvData
}

// Turn is MqxTurn.
type Turn struct {
	Message      [RxBatch]Message
	Block        [RxLent]*Rx
	Chain        *RecvData
	Delivery     [Deliveries]Delivery
	Done         *Tx
	Events       uint32
	Taken        uint32
	Datagrams    uint32
	Bytes        uint32
	Dropped      uint32
	Error        int32
	More         bool
	Connected    bool
	Disconnected bool
	Deliveries   uint8
	Reserved     [4]byte
}

// Endpoint is MqxEndpoint.
type Endpoint struct {
	SQE       unsafe.Pointer
	Queue     unsafe.Pointer
	EventQ    int32
	Partition uint16
	CPU       uint16

	FD        int32
	SpareFD   int32
	Kind      uint8
	Connected bool
	IsV4      bool
	Batch     uint8
	Segment   atomic.Bool
	TCPState  atomic.Uint32
	Events    uint32
	Local     Addr
	Remote    Addr

	Lock      sync.Mutex // two words without a pointer: it may live in C memory
	QueueHead *Tx
	QueueTail *Tx
	Queued    atomic.Uint32
	Watched   uint32

	CIBIR       CIBIR
	KernelSends bool
	Reserved    [6]byte
	Lease       uint64
}

// Tx is MqxTx, MsQuic's CXPLAT_SEND_DATA.
type Tx struct {
	Next   *Tx
	Pool   unsafe.Pointer
	Slot   unsafe.Pointer
	Socket unsafe.Pointer
	Open   struct {
		Length uint32
		Buffer unsafe.Pointer
	}

	Total    uint32
	Sent     uint32
	Segment  uint16
	Max      uint16
	Asked    uint16
	Count    uint16
	Status   int32
	TOS      uint8
	Full     uint8
	Raw      bool
	Reserved uint8

	Remote     Addr
	Local      Addr
	LocalMAC   [6]byte
	NextHopMAC [6]byte
	Message    unix.Msghdr
	Iov        unix.Iovec
	Control    [TxControl]byte
	Length     [TxSegments]uint16
	Pad        uint64
	Data       [IOBuffer]byte
}

// Way is MqxWay.
type Way struct {
	Remote     Addr
	Local      Addr
	LocalMAC   [6]byte
	NextHopMAC [6]byte
	_          uint32
	Queue      unsafe.Pointer
	Callback   uintptr // C's, as Context: it may be no address that Go allows
	Context    uintptr
	PathID     uint8
	Again      bool
	Found      bool
	_          uint8
	Partition  uint16
	Reserved   [2]byte
}

// What a [Way]'s question comes to.
const (
	WayKnown   = 0
	WayPending = -1
	WayKernel  = -2
)

// By what a send on AF_XDP's route has left.
const (
	ByQueue   = 0
	ByKernel  = 1 // by a kernel socket, which is the quicker way
	NoRoom    = 2 // the same, since the queue had no room
	NotTaken  = 3 // the same, since the queue cannot send it
	Submitted = 4 // by the queue, at its next kick
)

// Open is MqxOpen.
type Open struct {
	Local          Addr
	Remote         Addr
	Endpoint       **Endpoint
	Count          uint16
	Kind           uint8
	HasLocal       bool
	HasRemote      bool
	Share          bool
	Coalesce       bool
	Steer          bool
	InterfaceIndex uint32
	CIBIR          CIBIR
	XDP            bool
	Reserved       [2]byte
	Reason         [ReasonSize]byte
}

// Endpoints returns the endpoints to open.
func (o *Open) Endpoints() []*Endpoint {
	// Safety: C passes an array of Count pointers.
	return unsafe.Slice(o.Endpoint, o.Count)
}

// SetReason stores a sentence for people, cut to fit and NUL terminated. It is a
// line of a log too: what several errors say stands one behind the other.
func SetReason(dst *[ReasonSize]byte, text string) {
	n := copy(dst[:ReasonSize-1], strings.ReplaceAll(text, "\n", "; "))
	dst[n] = 0
}

// SetSource names the source address of a socket whose user left it to us.
func (o *Open) SetSource(source netip.Addr) {
	if o.HasLocal && o.Local.Family != unix.AF_UNSPEC && !o.Local.IP().IsUnspecified() {
		return
	}
	port := o.Local.Port
	o.Local = AddrFrom(netip.AddrPortFrom(source.Unmap(), 0))
	o.Local.Port = port
	o.HasLocal = true
}
