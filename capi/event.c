/* SPDX-License-Identifier: MIT */
/* event.c - from an event of a worker's queue to the up-calls. */
#include <errno.h>

#include "_cgo_export.h"
#include "internal.h"

/*
 * Batches and connections for one event; level triggering brings the rest. Few batches, so that
 * MsQuic gets to them while they are in the cache.
 */
enum { MAX_TURNS = 4, MAX_ACCEPTS = 16 };

void mqx_upcall_unreachable(CXPLAT_SOCKET *socket, int error)
{
    bool unreachable = error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH;
    if (unreachable && socket->HasRemote && !socket->Pcp) {
        mqx_count(&mqx_counters(socket->Endpoint[0]->Partition)->Unreachable, 1);
        socket->Datapath->Udp.Unreachable(socket, socket->Context, &socket->Remote);
    }
}

static void receive(CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    if (socket->Kind == MQX_KIND_TCP) {
        socket->Datapath->Tcp.Receive(socket, socket->Context, chain);
    } else if (socket->Pcp) {
        CxPlatPcpRecvCallback(socket, socket->Context, chain);
    } else {
        socket->Datapath->Udp.Receive(socket, socket->Context, chain);
    }
}

/* Completes the sends that have left the queue, oldest first. */
static void complete_sends(CXPLAT_SOCKET *socket, MqxTx *done)
{
    for (MqxTx *tx = done; socket->Kind == MQX_KIND_TCP && tx != NULL; tx = tx->Next) {
        socket->Datapath->Tcp.SendComplete(
            socket, socket->Context, (QUIC_STATUS)tx->Status, tx->Total);
    }
    mqx_tx_free_list(done);
}

/* Runs the up-calls that a turn asks for, in the order in which things happened. */
static void deliver(CXPLAT_SOCKET *socket, MqxTurn *turn)
{
    CXPLAT_DATAPATH *datapath = socket->Datapath;
    if (turn->Connected) {
        datapath->Tcp.Connect(socket, socket->Context, TRUE);
    }
    if (turn->Done != NULL) {
        complete_sends(socket, turn->Done);
    }
    if (turn->Chain != NULL) {
        receive(socket, turn->Chain);
    }
    if (turn->Disconnected) {
        datapath->Tcp.Connect(socket, socket->Context, FALSE);
    } else if (turn->Error != 0 && socket->Kind == MQX_KIND_UDP) {
        mqx_upcall_unreachable(socket, turn->Error);
    }
}

static void count_turn(uint16_t partition, const MqxTurn *turn)
{
    MqxCounters *counters = mqx_counters(partition);
    mqx_count(&counters->RxTurns, 1);
    if (turn->Datagrams != 0) {
        mqx_count(&counters->RxDatagrams, turn->Datagrams);
        mqx_count(&counters->RxBytes, turn->Bytes);
    }
    if (turn->Dropped != 0) {
        mqx_count(&counters->RxDropped, turn->Dropped);
    }
}

static void serve(MqxSlot *slot, uint32_t events)
{
    MqxPartition *partition = slot->Partition;
    MqxTurn *turn = mqx_turn_take(partition);
    if (turn == NULL) {
        return; /* out of memory: the event comes again */
    }
    turn->Events = events;
    for (int i = 0; i < MAX_TURNS; i++) {
        mqxGoTurn(&slot->Endpoint, turn);
        count_turn(partition->Index, turn);
        deliver(slot->Socket, turn);
        mqx_turn_refill(partition, turn);
        if (!turn->More) {
            break;
        }
        turn->Events = EPOLLIN;
    }
    mqx_turn_give(partition, turn);
}

/* Hands to a socket what a queue has received for it, unless it is gone. */
static void deliver_raw(MqxDelivery *delivery)
{
    MqxSlot *slot = mqx_slot_enter(delivery->Queue);
    if (slot == NULL) {
        mqx_CxPlatRecvDataReturn(delivery->Chain);
        return;
    }
    receive(slot->Socket, delivery->Chain);
    mqx_gate_leave(slot);
}

static void serve_queue(MqxSlot *slot, uint32_t events)
{
    MqxPartition *partition = slot->Partition;
    MqxTurn *turn = mqx_turn_take(partition);
    if (turn == NULL) {
        return; /* out of memory: the event comes again */
    }
    turn->Events = events;
    for (int i = 0; i < MAX_TURNS; i++) {
        mqxGoRawTurn(&slot->Endpoint, turn);
        count_turn(partition->Index, turn);
        mqx_count(&mqx_counters(partition->Index)->XdpRxDatagrams, turn->Datagrams);
        for (uint8_t d = 0; d < turn->Deliveries; d++) {
            deliver_raw(&turn->Delivery[d]);
        }
        mqx_turn_refill(partition, turn);
        if (!turn->More) {
            break;
        }
        turn->Events = EPOLLIN;
    }
    mqx_turn_give(partition, turn);
    mqx_settle(partition->Datapath); /* what up-calls have sent, before the next event */
}

/*
 * Takes one connection. The new socket lives on the listener's partition, whose worker is running
 * this: so although it is watched already, nothing of it can come up before Accept has returned,
 * and after that it may be gone at any time.
 */
static bool accept_one(MqxSlot *listener)
{
    CXPLAT_SOCKET *socket = listener->Socket;
    CXPLAT_SOCKET *accepted =
        mqx_socket_alloc(socket->Datapath, MQX_KIND_TCP, 1, listener->Endpoint.Partition);
    if (accepted == NULL) {
        return false;
    }
    mqx_gate_open(mqx_slot(accepted->Endpoint[0]));
    mqx_slot_published(mqx_slot(accepted->Endpoint[0]));
    int error = mqxGoAccept(&listener->Endpoint, accepted->Endpoint[0]);
    if (error != 0) {
        mqx_socket_close(accepted);
        /* This peer gave up: the next may not have. */
        return error == ECONNABORTED || error == EINTR;
    }
    accepted->Local = accepted->Endpoint[0]->Local;
    accepted->Remote = accepted->Endpoint[0]->Remote;
    accepted->HasRemote = true;
    mqx_count(&mqx_counters(listener->Endpoint.Partition)->Opened, 1);
    QUIC_STATUS status =
        socket->Datapath->Tcp.Accept(socket, socket->Context, accepted, &accepted->Context);
    if (QUIC_FAILED(status)) {
        mqx_CxPlatSocketDelete(accepted);
    }
    return true;
}

static void dispatch(MqxSlot *slot, uint32_t events)
{
    switch (slot->Endpoint.Kind) {
    case MQX_KIND_QUEUE: serve_queue(slot, events); break;
    case MQX_KIND_ANSWERS: mqx_raw_answers(slot); break;
    case MQX_KIND_TCP_LISTENER:
        for (int i = 0; i < MAX_ACCEPTS && accept_one(slot); i++) {
        }
        break;
    default: serve(slot, events);
    }
}

void mqx_slot_event(CXPLAT_CQE *cqe)
{
    MqxSlot *slot = cqe->data.ptr; /* Sqe is its first member */
    mqx_slot_observed(slot);
    if (!mqx_gate_enter(slot)) {
        return;
    }
    if (!atomic_load_explicit(&mqx_forked, memory_order_relaxed)) {
        dispatch(slot, cqe->events);
    }
    mqx_gate_leave(slot);
}
