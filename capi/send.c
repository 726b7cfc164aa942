/* SPDX-License-Identifier: MIT */
/* send.c - sends: allotting buffers to MsQuic, and one call into Go for each batch. */
#include <errno.h>
#include <string.h>

#include "_cgo_export.h"
#include "internal.h"

/* UDP cannot carry more; TCP uses the whole block. */
static uint32_t capacity(const MqxTx *tx)
{
    return tx->Slot->Endpoint.Kind == MQX_KIND_TCP ? MQX_IO_BUFFER : MQX_UDP_PAYLOAD;
}

static MqxEndpoint *kernel_endpoint(const CXPLAT_SOCKET *socket)
{
    return socket->Endpoint[socket->Count == 1 ? 0 : CxPlatProcCurrentNumber() % socket->Count];
}

static MqxSlot *choose_slot(CXPLAT_SOCKET *socket, const CXPLAT_ROUTE *route)
{
    MqxSlot *slot = mqx_slot_of_queue(route->Queue, socket);
    if (slot == NULL) {
        slot = mqx_slot(kernel_endpoint(socket));
    }
    return slot;
}

/* The queue of AF_XDP to send by, that of the route if it is one; else NULL. */
static MqxSlot *choose_queue(CXPLAT_SOCKET *socket, const CXPLAT_ROUTE *route)
{
    MqxSlot *queue = NULL;
    if (mqx_raw_prefers(socket, route)) {
        queue = mqx_raw_slot(socket->Datapath, route->Queue);
    }
    return queue == NULL && socket->Datapath->MapMode ? mqx_raw_any_slot(socket->Datapath) : queue;
}

CXPLAT_SEND_DATA *mqx_CxPlatSendDataAlloc(CXPLAT_SOCKET *socket, CXPLAT_SEND_CONFIG *config)
{
    if (socket == NULL || config == NULL || config->Route == NULL ||
        socket->Kind == MQX_KIND_TCP_LISTENER) {
        mqx_fail(
            QUIC_STATUS_INVALID_PARAMETER,
            "CxPlatSendDataAlloc: needs a socket that can send, and a route");
        return NULL;
    }
    MqxSlot *queue = choose_queue(socket, config->Route);
    MqxSlot *slot = queue != NULL ? queue : choose_slot(socket, config->Route);
    MqxTx *tx = mqx_pool_get(slot->Partition->Tx);
    if (tx == NULL) {
        return NULL;
    }
    bool uniform = (queue == NULL || queue->Endpoint.KernelSends) &&
                   (socket->Datapath->Features & CXPLAT_DATAPATH_FEATURE_SEND_SEGMENTATION) != 0;
    tx->Slot = slot;
    tx->Socket = socket;
    tx->Raw = queue != NULL || socket->Datapath->MapMode;
    tx->Open.Length = 0;
    tx->Total = 0;
    tx->Sent = 0;
    tx->Max = config->MaxPacketSize;
    tx->Segment = uniform ? config->MaxPacketSize : 0;
    tx->Count = 0;
    tx->Tos = (uint8_t)((config->ECN & 3) | config->DSCP << 2);
    tx->Full = 0;
    config->Route->Queue = slot->Endpoint.Queue;
    config->Route->DatapathType = tx->Raw ? CXPLAT_DATAPATH_TYPE_RAW : CXPLAT_DATAPATH_TYPE_NORMAL;
    return tx;
}

void mqx_CxPlatSendDataFree(CXPLAT_SEND_DATA *tx)
{
    if (tx != NULL) {
        mqx_pool_put(tx);
    }
}

/* Makes the open buffer part of the send, with the length that its user left in it. */
static void commit(MqxTx *tx)
{
    uint32_t length = tx->Open.Length < tx->Asked ? tx->Open.Length : tx->Asked;
    tx->Open.Length = 0;
    tx->Asked = 0;
    if (length == 0) {
        return;
    }
    tx->Length[tx->Count++] = (uint16_t)length;
    tx->Total += length;
    tx->Full = tx->Max == 0 || tx->Count == MQX_TX_SEGMENTS || tx->Total + tx->Max > capacity(tx) ||
               (tx->Segment != 0 && length < tx->Segment); /* only the last may be short */
}

QUIC_BUFFER *mqx_CxPlatSendDataAllocBuffer(CXPLAT_SEND_DATA *tx, uint16_t length)
{
    if (tx == NULL) {
        return NULL;
    }
    commit(tx);
    if (tx->Full || length == 0 || (tx->Max != 0 && length > tx->Max) ||
        tx->Total + length > capacity(tx)) {
        return NULL;
    }
    tx->Asked = length;
    tx->Open.Length = length;
    tx->Open.Buffer = tx->Data + tx->Total;
    return &tx->Open;
}

void mqx_CxPlatSendDataFreeBuffer(CXPLAT_SEND_DATA *tx, QUIC_BUFFER *buffer)
{
    if (tx != NULL && buffer == &tx->Open) {
        tx->Open.Length = 0;
    }
}

BOOLEAN mqx_CxPlatSendDataIsFull(CXPLAT_SEND_DATA *tx)
{
    if (tx == NULL) {
        return TRUE;
    }
    commit(tx);
    return tx->Full;
}

void mqx_tx_free_list(MqxTx *list)
{
    while (list != NULL) {
        MqxTx *next = list->Next;
        mqx_pool_put(list);
        list = next;
    }
}

/* What follows a send that is not in the queue: the block is ours again. */
static void finish(CXPLAT_SOCKET *socket, MqxTx *tx, int status)
{
    if (socket->Kind == MQX_KIND_TCP) {
        socket->Datapath->Tcp.SendComplete(socket, socket->Context, (QUIC_STATUS)status, tx->Total);
    } else if (status != 0) {
        mqx_upcall_unreachable(socket, status);
    }
    mqx_pool_put(tx);
}

/* `count` datagrams have left by a queue, or by the kernel's socket. */
static void count_raw(MqxCounters *counters, uint8_t by, uint16_t count)
{
    switch (by) {
    case MQX_BY_QUEUE: mqx_count(&counters->XdpTxKicks, 1); /* fall through */
    case MQX_SUBMITTED: mqx_count(&counters->XdpTxDatagrams, count); break;
    case MQX_BY_KERNEL: mqx_count(&counters->XdpTxKernel, 1); break;
    case MQX_NO_ROOM: mqx_count(&counters->XdpTxNoRoom, 1); break;
    default: mqx_count(&counters->XdpTxNotTaken, 1);
    }
}

/* On a worker of the datapath, the kick may be left to the end of the turn. */
static int send_by_queue(
    MqxEndpoint *queue, MqxEndpoint *kernel, MqxTx *tx, uint16_t count, uint8_t *by)
{
    MqxLedger *ledger = mqx_ledger(tx->Socket->Datapath);
    bool later = ledger != NULL && mqx_may_owe(ledger, queue->Queue, count);
    int status = mqxGoRawSend(queue, kernel, tx, later, by);
    if (*by == MQX_SUBMITTED) {
        mqx_owe(ledger, queue->Queue, count);
    } else if (*by == MQX_BY_QUEUE && ledger != NULL) {
        mqx_paid(ledger, queue->Queue);
    }
    return status;
}

/*
 * A queue that has no room leaves it to the kernel's socket of the same port. In map mode there is
 * none, and what AF_XDP does not take is lost, as on a link that is full.
 */
static int transmit(CXPLAT_SOCKET *socket, const CXPLAT_ROUTE *route, MqxTx *tx)
{
    if (!tx->Raw) {
        return mqxGoSend(&tx->Slot->Endpoint, tx);
    }
    bool map_mode = socket->Datapath->MapMode;
    if (map_mode && (tx->Slot->Endpoint.Kind != MQX_KIND_QUEUE || route->State != RouteResolved)) {
        return ENETDOWN;
    }
    memcpy(tx->LocalMac, route->LocalLinkLayerAddress, sizeof(tx->LocalMac));
    memcpy(tx->NextHopMac, route->NextHopLinkLayerAddress, sizeof(tx->NextHopMac));
    MqxEndpoint *kernel = map_mode ? NULL : kernel_endpoint(socket);
    MqxCounters *counters = mqx_counters(tx->Slot->Endpoint.Partition);
    uint16_t count = tx->Count; /* once it is sent or queued it may be another's */
    uint8_t by = MQX_BY_QUEUE;
    int status = send_by_queue(&tx->Slot->Endpoint, kernel, tx, count, &by);
    if (status == 0 || status == MQX_SEND_QUEUED) {
        count_raw(counters, by, count);
    }
    return status;
}

void mqx_CxPlatSocketSend(CXPLAT_SOCKET *socket, const CXPLAT_ROUTE *route, CXPLAT_SEND_DATA *tx)
{
    if (tx == NULL) {
        return;
    }
    commit(tx);
    if (socket == NULL || route == NULL || tx->Socket != socket || tx->Count == 0) {
        mqx_pool_put(tx);
        return;
    }
    tx->Remote = route->RemoteAddress;
    tx->Local = route->LocalAddress;
    MqxCounters *counters = mqx_counters(tx->Slot->Endpoint.Partition);
    mqx_count(&counters->TxBatches, 1);
    mqx_count(&counters->TxDatagrams, tx->Count);
    mqx_count(&counters->TxBytes, tx->Total);
    int status = atomic_load_explicit(&mqx_forked, memory_order_relaxed)
                     ? (int)QUIC_STATUS_INVALID_STATE
                     : transmit(socket, route, tx);
    if (status == MQX_SEND_QUEUED) {
        mqx_count(&counters->TxQueued, 1);
        return;
    }
    if (status != 0) {
        mqx_count(&counters->TxFailed, 1);
    }
    finish(socket, tx, status);
}
