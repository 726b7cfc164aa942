// SPDX-License-Identifier: MIT

package main

/*
#include "../datapath/batch/batch.h"

enum {
	OFF_RX_CONTROL = offsetof(MqxRx, Control),
	OFF_SLOT_DATA = offsetof(MqxRxSlot, Data),
	OFF_TURN_DISCONNECTED = offsetof(MqxTurn, Disconnected),
	OFF_TURN_CHAIN = offsetof(MqxTurn, Chain),
	OFF_EP_LOCK = offsetof(MqxEndpoint, Lock),
	OFF_EP_LOCAL = offsetof(MqxEndpoint, Local),
	OFF_EP_QUEUED = offsetof(MqxEndpoint, Queued),
	OFF_TX_STATUS = offsetof(MqxTx, Status),
	OFF_TX_REMOTE = offsetof(MqxTx, Remote),
	OFF_TX_MAC = offsetof(MqxTx, LocalMac),
	OFF_TURN_DELIVERIES = offsetof(MqxTurn, Deliveries),
	OFF_TX_MESSAGE = offsetof(MqxTx, Message),
	OFF_TX_DATA = offsetof(MqxTx, Data),
	OFF_EP_LEASE = offsetof(MqxEndpoint, Lease),
	OFF_WAY_QUEUE = offsetof(MqxWay, Queue),
	OFF_OPEN_XDP = offsetof(MqxOpen, Xdp),
	OFF_OPEN_REASON = offsetof(MqxOpen, Reason),
	OFF_ROUTE_STATE = offsetof(CXPLAT_ROUTE, State),
	OFF_RECV_TOS = offsetof(CXPLAT_RECV_DATA, TypeOfService),
};
*/
import "C"

import (
	"unsafe"

	"github.com/msquicxdp/msquicxdp/datapath/batch"
)

// The Go mirrors agree with batch.h. A difference makes an index of one of
// these one-element arrays other than zero, which does not compile.
var (
	_ = [1]bool{}[unsafe.Sizeof(batch.Addr{})-C.sizeof_QUIC_ADDR]
	_ = [1]bool{}[unsafe.Sizeof(batch.Route{})-C.sizeof_CXPLAT_ROUTE]
	_ = [1]bool{}[unsafe.Sizeof(batch.RecvData{})-C.sizeof_CXPLAT_RECV_DATA]
	_ = [1]bool{}[unsafe.Sizeof(batch.RxSlot{})-C.sizeof_MqxRxSlot]
	_ = [1]bool{}[unsafe.Sizeof(batch.Rx{})-C.sizeof_MqxRx]
	_ = [1]bool{}[unsafe.Sizeof(batch.Turn{})-C.sizeof_MqxTurn]
	_ = [1]bool{}[unsafe.Sizeof(batch.Endpoint{})-C.sizeof_MqxEndpoint]
	_ = [1]bool{}[unsafe.Sizeof(batch.Tx{})-C.sizeof_MqxTx]
	_ = [1]bool{}[unsafe.Sizeof(batch.Open{})-C.sizeof_MqxOpen]
	_ = [1]bool{}[unsafe.Sizeof(batch.Way{})-C.sizeof_MqxWay]

	_ = [1]bool{}[unsafe.Offsetof(batch.Rx{}.Control)-C.OFF_RX_CONTROL]
	_ = [1]bool{}[unsafe.Offsetof(batch.RxSlot{}.Data)-C.OFF_SLOT_DATA]
	_ = [1]bool{}[unsafe.Offsetof(batch.Turn{}.Disconnected)-C.OFF_TURN_DISCONNECTED]
	_ = [1]bool{}[unsafe.Offsetof(batch.Turn{}.Chain)-C.OFF_TURN_CHAIN]
	_ = [1]bool{}[unsafe.Offsetof(batch.Endpoint{}.Lock)-C.OFF_EP_LOCK]
	_ = [1]bool{}[unsafe.Offsetof(batch.Endpoint{}.Local)-C.OFF_EP_LOCAL]
	_ = [1]bool{}[unsafe.Offsetof(batch.Endpoint{}.Queued)-C.OFF_EP_QUEUED]
	_ = [1]bool{}[unsafe.Offsetof(batch.Endpoint{}.Lease)-C.OFF_EP_LEASE]
	_ = [1]bool{}[unsafe.Offsetof(batch.Open{}.XDP)-C.OFF_OPEN_XDP]
	_ = [1]bool{}[unsafe.Offsetof(batch.Way{}.Queue)-C.OFF_WAY_QUEUE]
	_ = [1]bool{}[unsafe.Offsetof(batch.Tx{}.Status)-C.OFF_TX_STATUS]
	_ = [1]bool{}[unsafe.Offsetof(batch.Tx{}.Remote)-C.OFF_TX_REMOTE]
	_ = [1]bool{}[unsafe.Offsetof(batch.Tx{}.LocalMAC)-C.OFF_TX_MAC]
	_ = [1]bool{}[unsafe.Offsetof(batch.Turn{}.Deliveries)-C.OFF_TURN_DELIVERIES]
	_ = [1]bool{}[unsafe.Offsetof(batch.Tx{}.Message)-C.OFF_TX_MESSAGE]
	_ = [1]bool{}[unsafe.Offsetof(batch.Tx{}.Data)-C.OFF_TX_DATA]
	_ = [1]bool{}[unsafe.Offsetof(batch.Open{}.Reason)-C.OFF_OPEN_REASON]
	_ = [1]bool{}[unsafe.Offsetof(batch.Route{}.State)-C.OFF_ROUTE_STATE]
	_ = [1]bool{}[unsafe.Offsetof(batch.RecvData{}.TOS)-C.OFF_RECV_TOS]

	_ = [1]bool{}[batch.RxBatch-C.MQX_RX_BATCH]
	_ = [1]bool{}[batch.RxLent-C.MQX_RX_LENT]
	_ = [1]bool{}[batch.RxSlots-C.MQX_RX_SLOTS]
	_ = [1]bool{}[batch.RxControl-C.MQX_RX_CONTROL]
	_ = [1]bool{}[batch.TxSegments-C.MQX_TX_SEGMENTS]
	_ = [1]bool{}[batch.TxControl-C.MQX_TX_CONTROL]
	_ = [1]bool{}[batch.IOBuffer-C.MQX_IO_BUFFER]
	_ = [1]bool{}[batch.MaxPayload-C.MQX_UDP_PAYLOAD]
	_ = [1]bool{}[batch.ReasonSize-C.MQX_REASON]
	_ = [1]bool{}[batch.SendQueued-C.MQX_SEND_QUEUED]
	_ = [1]bool{}[batch.Deliveries-C.MQX_DELIVERIES]
	_ = [1]bool{}[batch.KindQueue-C.MQX_KIND_QUEUE]
	_ = [1]bool{}[batch.KindAnswers-C.MQX_KIND_ANSWERS]
	_ = [1]bool{}[batch.KindUDP-C.MQX_KIND_UDP]
	_ = [1]bool{}[batch.KindTCP-C.MQX_KIND_TCP]
	_ = [1]bool{}[batch.KindTCPListener-C.MQX_KIND_TCP_LISTENER]
)
