/* SPDX-License-Identifier: MIT */
/*
 * raw.c - the AF_XDP side of a datapath: brought up by the first socket that wants it, and gone with the
 * datapath. Each receive queue that it serves is an endpoint like a socket's, watched by one partition;
 * one more endpoint brings the answers of neighbours. Sockets keep their kernel sockets beside it, but
 * for map mode, where it is there from the start and alone.
 */
#include <string.h>

#include "_cgo_export.h"
#include "internal.h"

/* Slots of queues, and behind them the one of the answers. */
static bool make_slots(CXPLAT_DATAPATH *datapath, MqxRaw *raw, uint16_t queues)
{
    for (uint16_t i = 0; i <= queues; i++) {
        MqxSlot *slot = mqx_slot_new(NULL, &datapath->Partition[i % datapath->Count]);
        if (slot == NULL) {
            return false;
        }
        slot->Endpoint.Kind = i < queues ? MQX_KIND_QUEUE : MQX_KIND_ANSWERS;
        raw->Endpoint[raw->Count++] = &slot->Endpoint;
    }
    return true;
}

static void free_raw(MqxRaw *raw)
{
    for (uint16_t i = 0; i < raw->Count; i++) {
        mqx_slot_free(mqx_slot(raw->Endpoint[i]));
    }
    CxPlatFree(raw, QUIC_POOL_DATAPATH);
}

/* Begins to serve an engine of Go's, which is closed where that fails. */
static MqxRaw *bring_up(CXPLAT_DATAPATH *datapath, uint64_t engine, uint16_t queues, char *reason)
{
    MqxRaw *raw = CxPlatAlloc(
        sizeof(*raw) + (queues + (size_t)1) * sizeof(raw->Endpoint[0]), QUIC_POOL_DATAPATH);
    bool made = raw != NULL && make_slots(datapath, raw, queues);
    for (uint16_t i = 0; made && i < raw->Count; i++) {
        mqx_gate_open(mqx_slot(raw->Endpoint[i]));
        mqx_slot_published(mqx_slot(raw->Endpoint[i]));
    }
    if (!made || mqxGoRawServe(engine, raw->Endpoint, raw->Count, datapath->Count, reason) != 0) {
        mqxGoRawClose(engine);
        if (raw != NULL) {
            free_raw(raw);
        }
        return NULL;
    }
    raw->Engine = engine;
    return raw;
}

/* What failed a moment ago is not tried again for every socket. */
enum { RETRY_MS = 1000 };

static void try_bring_up(CXPLAT_DATAPATH *datapath)
{
    uint64_t now = mqx_now_ms();
    if (atomic_load(&datapath->Raw) == NULL && now >= datapath->RawRetryAt) {
        datapath->RawRetryAt = now + RETRY_MS;
        uint16_t queues = 0;
        uint64_t engine = mqxGoRawOpen(&queues, datapath->RawReason);
        MqxRaw *raw = engine == 0 ? NULL : bring_up(datapath, engine, queues, datapath->RawReason);
        atomic_store_explicit(&datapath->Raw, raw, memory_order_release);
    }
}

MqxRaw *mqx_raw(CXPLAT_DATAPATH *datapath, char *reason)
{
    pthread_mutex_lock(&datapath->RawLock);
    try_bring_up(datapath);
    memcpy(reason, datapath->RawReason, MQX_REASON);
    pthread_mutex_unlock(&datapath->RawLock);
    return atomic_load(&datapath->Raw);
}

QUIC_STATUS mqx_raw_map(CXPLAT_DATAPATH *datapath, const CXPLAT_DATAPATH_INIT_CONFIG *config)
{
    char *reason = datapath->RawReason;
    uint16_t queues = 0;
    uint64_t engine = mqxGoRawMap(
        (CXPLAT_XDP_MAP_CONFIG *)config->XdpMapConfigs, config->XdpMapConfigCount, &queues, reason);
    if (engine != 0 && reason[0] != '\0') {
        mqx_log(MSQUICXDP_LEVEL_WARNING, "map mode: %s", reason);
        reason[0] = '\0';
    }
    MqxRaw *raw = engine == 0 ? NULL : bring_up(datapath, engine, queues, reason);
    if (raw == NULL && reason[0] == '\0') {
        return mqx_fail(
            QUIC_STATUS_OUT_OF_MEMORY, "CxPlatDataPathInitialize: map mode: out of memory");
    }
    if (raw == NULL) {
        return mqx_fail(
            QUIC_STATUS_NOT_SUPPORTED, "CxPlatDataPathInitialize: map mode: %s", reason);
    }
    atomic_store(&datapath->Raw, raw);
    datapath->RawAvailable = true;
    return QUIC_STATUS_SUCCESS;
}

void mqx_raw_close(CXPLAT_DATAPATH *datapath)
{
    MqxRaw *raw = atomic_exchange(&datapath->Raw, NULL);
    if (raw == NULL || atomic_load(&mqx_forked)) {
        return;
    }
    for (uint16_t i = 0; i < raw->Count; i++) {
        mqx_gate_close(mqx_slot(raw->Endpoint[i]));
        mqxGoQuiesce(raw->Endpoint[i]);
    }
    for (uint16_t i = 0; i < raw->Count; i++) {
        mqx_gate_wait(mqx_slot(raw->Endpoint[i]));
    }
    mqxGoRawClose(raw->Engine);
    free_raw(raw);
}

MqxSlot *mqx_raw_slot(CXPLAT_DATAPATH *datapath, const CXPLAT_QUEUE *queue)
{
    MqxSlot *slot = mqx_slot_of_queue(queue, NULL);
    bool ours = slot != NULL && slot->Endpoint.Kind == MQX_KIND_QUEUE && slot->Partition != NULL &&
                slot->Partition->Datapath == datapath;
    return ours ? slot : NULL;
}

MqxSlot *mqx_raw_any_slot(CXPLAT_DATAPATH *datapath)
{
    MqxRaw *raw = atomic_load(&datapath->Raw);
    return raw->Count > 1 ? mqx_slot(raw->Endpoint[0]) : NULL; /* the last one is no queue */
}

bool mqx_raw_prefers(const CXPLAT_SOCKET *socket, const CXPLAT_ROUTE *route)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    const QUIC_ADDR *to = &route->RemoteAddress;
    if (socket->Datapath->MapMode) {
        return true;
    }
    if (socket->RawTicket == 0 || route->DatapathType == CXPLAT_DATAPATH_TYPE_NORMAL) {
        return false;
    }
    if (to->Ip.sa_family == AF_INET) {
        return to->Ipv4.sin_addr.s_addr != htonl(INADDR_LOOPBACK);
    }
    return memcmp(&to->Ipv6.sin6_addr, loopback6, sizeof(loopback6)) != 0;
}

static void fill(CXPLAT_ROUTE *route, const MqxWay *way)
{
    route->LocalAddress = way->Local;
    memcpy(route->LocalLinkLayerAddress, way->LocalMac, sizeof(way->LocalMac));
    route->Queue = way->Queue;
    route->DatapathType = CXPLAT_DATAPATH_TYPE_RAW;
}

/* A way on which AF_XDP does not lead to the peer. The kernel's sockets do, where there are any. */
static QUIC_STATUS resolve_otherwise(
    CXPLAT_SOCKET *socket,
    CXPLAT_ROUTE *route,
    uint8_t path_id,
    void *context,
    CXPLAT_ROUTE_RESOLUTION_CALLBACK_HANDLER callback)
{
    route->Queue = NULL;
    if (!socket->Datapath->MapMode) {
        route->DatapathType = CXPLAT_DATAPATH_TYPE_NORMAL;
        route->State = RouteResolved;
        return QUIC_STATUS_SUCCESS;
    }
    route->State = RouteUnresolved;
    if (callback != NULL) {
        callback(context, NULL, path_id, FALSE); /* a failure is said in both ways */
    }
    return mqx_fail(
        QUIC_STATUS_NOT_FOUND,
        "CxPlatResolveRoute: none of the interfaces in map mode leads to the peer, and there is "
        "no other way");
}

QUIC_STATUS mqx_raw_resolve(
    CXPLAT_SOCKET *socket,
    CXPLAT_ROUTE *route,
    uint8_t path_id,
    void *context,
    CXPLAT_ROUTE_RESOLUTION_CALLBACK_HANDLER callback)
{
    static const uint8_t unknown[6];
    bool suspected = route->State == RouteSuspected;
    bool learned = mqx_raw_slot(socket->Datapath, route->Queue) != NULL &&
                   memcmp(route->NextHopLinkLayerAddress, unknown, sizeof(unknown)) != 0;
    if (learned && !suspected) { /* the packet came by it: so does the answer */
        route->DatapathType = CXPLAT_DATAPATH_TYPE_RAW;
        route->State = RouteResolved;
        return QUIC_STATUS_SUCCESS;
    }
    MqxWay way = {
        .Remote = route->RemoteAddress,
        .Local = route->LocalAddress,
        .Callback = (void *)callback,
        .Context = context,
        .PathId = path_id,
        .Again = suspected,
    };
    memcpy(way.NextHopMac, route->NextHopLinkLayerAddress, sizeof(way.NextHopMac));
    route->State = RouteResolving; /* the answer may come before the question returns */
    MqxRaw *raw = atomic_load(&socket->Datapath->Raw);
    switch (mqxGoRawResolve(raw->Engine, &way)) {
    case MQX_WAY_KNOWN:
        fill(route, &way);
        memcpy(route->NextHopLinkLayerAddress, way.NextHopMac, sizeof(way.NextHopMac));
        route->State = RouteResolved;
        return QUIC_STATUS_SUCCESS;
    case MQX_WAY_PENDING: fill(route, &way); return QUIC_STATUS_PENDING;
    default: return resolve_otherwise(socket, route, path_id, context, callback);
    }
}

/* Hands the answers of neighbours to those who asked. */
void mqx_raw_answers(MqxSlot *slot)
{
    enum { BATCH = 16 };
    MqxWay way[BATCH];
    int n;
    do {
        n = mqxGoRawAnswers(&slot->Endpoint, way, BATCH);
        for (int i = 0; i < n; i++) {
            CXPLAT_ROUTE_RESOLUTION_CALLBACK_HANDLER callback =
                (CXPLAT_ROUTE_RESOLUTION_CALLBACK_HANDLER)way[i].Callback;
            if (callback != NULL) {
                callback(
                    way[i].Context, way[i].Found ? way[i].NextHopMac : NULL, way[i].PathId,
                    way[i].Found);
            }
        }
    } while (n == BATCH);
}
