/* SPDX-License-Identifier: MIT */
/*
 * raw.c - the AF_XDP side of a datapath: brought up by the first socket that wants it, and gone with the
 * datapath. Each receive queue that it serves is an endpoint like a socket's, watched by one partition;
 * they come and go with interfaces. One more endpoint brings the answers of neighbours, and tells when
 * there is a change. Sockets keep their kernel sockets beside it, but for map mode, where it is there
 * from the start and alone.
 */
#include <string.h>

#include "_cgo_export.h"
#include "internal.h"

/* Lets events come to a slot that is given to Go now. */
static void open_slot(MqxSlot *slot, MqxRaw *raw, uint8_t kind)
{
    slot->Raw = raw;
    slot->Endpoint.Kind = kind;
    mqx_gate_open(slot);
    mqx_slot_published(slot);
}

static void close_slot(MqxSlot *slot)
{
    mqx_gate_close(slot);
    mqxGoQuiesce(&slot->Endpoint);
}

static void free_slot(MqxSlot *slot)
{
    mqxGoRawForget(&slot->Endpoint);
    mqx_slot_free(slot);
}

/* The partition with the fewest queues. */
static MqxPartition *idlest(CXPLAT_DATAPATH *datapath, const MqxRaw *raw)
{
    uint32_t fewest = UINT32_MAX;
    MqxPartition *found = NULL;
    for (uint16_t i = 0; i < datapath->Count; i++) {
        uint32_t queues = 0;
        for (const MqxSlot *slot = raw->Queues; slot != NULL; slot = slot->Next) {
            queues += slot->Partition == &datapath->Partition[i];
        }
        if (queues < fewest) {
            fewest = queues;
            found = &datapath->Partition[i];
        }
    }
    return found;
}

/* Gives each queue that waits for one an endpoint. */
static void serve_waiting(CXPLAT_DATAPATH *datapath, MqxRaw *raw)
{
    while (mqxGoRawWaits(raw->Engine)) {
        MqxSlot *slot = mqx_slot_new(NULL, idlest(datapath, raw));
        if (slot == NULL) {
            mqx_log(MSQUICXDP_LEVEL_WARNING, "a queue is not served by AF_XDP yet: out of memory");
            return;
        }
        open_slot(slot, raw, MQX_KIND_QUEUE);
        if (mqxGoRawServe(raw->Engine, &slot->Endpoint, datapath->Count) != 0) {
            close_slot(slot);
            slot->Next = raw->Ended;
            raw->Ended = slot;
            return;
        }
        slot->Next = raw->Queues;
        raw->Queues = slot;
        atomic_fetch_add(&raw->Served, 1);
    }
}

/* Gives the endpoints of queues that are gone up. */
static void close_ended(MqxRaw *raw)
{
    for (MqxSlot **at = &raw->Queues; *at != NULL;) {
        MqxSlot *slot = *at;
        if (!mqxGoRawEnded(&slot->Endpoint)) {
            at = &slot->Next;
            continue;
        }
        *at = slot->Next;
        slot->Next = raw->Ended;
        raw->Ended = slot;
        close_slot(slot);
        mqxGoRawUnwatched(&slot->Endpoint);
        atomic_fetch_sub(&raw->Served, 1);
    }
}

/* Nobody is waited for: this runs on a worker. */
static void free_ended(MqxRaw *raw)
{
    for (MqxSlot **at = &raw->Ended; *at != NULL;) {
        MqxSlot *slot = *at;
        if (mqx_gate_is_empty(slot)) {
            *at = slot->Next;
            free_slot(slot);
        } else {
            at = &slot->Next;
        }
    }
}

/* Follows what the engine serves. Go has seen to it; here only endpoints come and go. */
static void update(CXPLAT_DATAPATH *datapath, MqxRaw *raw)
{
    pthread_mutex_lock(&raw->Lock);
    close_ended(raw);
    free_ended(raw);
    serve_waiting(datapath, raw);
    pthread_mutex_unlock(&raw->Lock);
}

static void tell_notes(const MqxRaw *raw)
{
    char text[MQX_REASON];
    int level;
    while ((level = mqxGoRawNote(raw->Engine, text)) != MSQUICXDP_LEVEL_NONE) {
        mqx_log((enum msquicxdp_level)level, "%s", text);
    }
}

static void free_raw(MqxRaw *raw)
{
    while (raw->Queues != NULL) {
        MqxSlot *slot = raw->Queues;
        raw->Queues = slot->Next;
        free_slot(slot);
    }
    while (raw->Ended != NULL) {
        MqxSlot *slot = raw->Ended;
        raw->Ended = slot->Next;
        free_slot(slot);
    }
    if (raw->Answers != NULL) {
        free_slot(raw->Answers);
    }
    pthread_mutex_destroy(&raw->Lock);
    CxPlatFree(raw, QUIC_POOL_DATAPATH);
}

static bool watch_answers(CXPLAT_DATAPATH *datapath, MqxRaw *raw, char *reason)
{
    raw->Answers = mqx_slot_new(NULL, &datapath->Partition[0]);
    if (raw->Answers == NULL) {
        return false;
    }
    open_slot(raw->Answers, raw, MQX_KIND_ANSWERS);
    return mqxGoRawWatch(raw->Engine, &raw->Answers->Endpoint, reason) == 0;
}

/* Begins to serve an engine of Go's, which is closed where that fails: without a reason, memory is out. */
static MqxRaw *bring_up(CXPLAT_DATAPATH *datapath, uint64_t engine, char *reason)
{
    MqxRaw *raw = CxPlatAlloc(sizeof(*raw), QUIC_POOL_DATAPATH);
    if (raw == NULL) {
        mqxGoRawClose(engine);
        return NULL;
    }
    pthread_mutex_init(&raw->Lock, NULL);
    raw->Engine = engine;
    if (watch_answers(datapath, raw, reason)) {
        update(datapath, raw);
        return raw;
    }
    mqxGoRawClose(engine);
    if (raw->Answers != NULL) {
        mqx_gate_close(raw->Answers);
    }
    free_raw(raw);
    return NULL;
}

/* Whether Go has ever been asked for an engine, and so runs. */
static _Atomic bool is_asked;

/* What failed a moment ago is not tried again for every socket. */
enum { RETRY_MS = 1000 };

static void try_bring_up(CXPLAT_DATAPATH *datapath)
{
    uint64_t now = mqx_now_ms();
    if (atomic_load(&datapath->Raw) == NULL && now >= datapath->RawRetryAt) {
        datapath->RawRetryAt = now + RETRY_MS;
        datapath->RawReason[0] = '\0';
        uint64_t engine =
            mqxGoRawOpen((uint64_t)(uintptr_t)datapath, &datapath->Xdp, datapath->RawReason);
        atomic_store(&is_asked, true);
        MqxRaw *raw = engine == 0 ? NULL : bring_up(datapath, engine, datapath->RawReason);
        if (raw == NULL && datapath->RawReason[0] == '\0') {
            strcpy(datapath->RawReason, "out of memory");
        }
        atomic_store_explicit(&datapath->Raw, raw, memory_order_release);
    }
}

MqxRaw *mqx_raw(CXPLAT_DATAPATH *datapath, char *reason)
{
    pthread_mutex_lock(&datapath->RawLock);
    try_bring_up(datapath);
    memcpy(reason, datapath->RawReason, MQX_REASON);
    pthread_mutex_unlock(&datapath->RawLock);
    MqxRaw *raw = atomic_load(&datapath->Raw);
    if (raw != NULL) {
        tell_notes(raw);
    }
    return raw;
}

QUIC_STATUS mqx_raw_map(CXPLAT_DATAPATH *datapath, const CXPLAT_DATAPATH_INIT_CONFIG *config)
{
    char *reason = datapath->RawReason;
    if (datapath->Xdp.Policy == MSQUICXDP_XDP_NEVER) {
        return mqx_fail(
            QUIC_STATUS_NOT_SUPPORTED,
            "CxPlatDataPathInitialize: map mode: AF_XDP is never to be used");
    }
    uint64_t engine = mqxGoRawMap(
        &datapath->Xdp, (CXPLAT_XDP_MAP_CONFIG *)config->XdpMapConfigs, config->XdpMapConfigCount,
        reason);
    if (engine != 0 && reason[0] != '\0') {
        mqx_log(MSQUICXDP_LEVEL_WARNING, "map mode: %s", reason);
        reason[0] = '\0';
    }
    MqxRaw *raw = engine == 0 ? NULL : bring_up(datapath, engine, reason);
    if (raw == NULL && reason[0] == '\0') {
        return mqx_fail(
            QUIC_STATUS_OUT_OF_MEMORY, "CxPlatDataPathInitialize: map mode: out of memory");
    }
    if (raw == NULL) {
        return mqx_fail(
            QUIC_STATUS_NOT_SUPPORTED, "CxPlatDataPathInitialize: map mode: %s", reason);
    }
    atomic_store(&is_asked, true);
    atomic_store(&datapath->Raw, raw);
    return QUIC_STATUS_SUCCESS;
}

/* What a look has told. */
enum { LOOK_UNKNOWN, LOOK_NO, LOOK_YES };

bool mqx_raw_available(CXPLAT_DATAPATH *datapath)
{
    MqxRaw *raw = atomic_load(&datapath->Raw);
    if (raw != NULL && (datapath->MapMode || atomic_load(&raw->Served) != 0)) {
        return true;
    }
    uint8_t look = atomic_load(&datapath->RawLook);
    if (look == LOOK_UNKNOWN && !atomic_load(&mqx_forked)) {
        bool yes =
            datapath->Xdp.Policy != MSQUICXDP_XDP_NEVER && mqxGoRawAvailable(&datapath->Xdp) != 0;
        look = yes ? LOOK_YES : LOOK_NO;
        atomic_store(&datapath->RawLook, look);
    }
    return look == LOOK_YES;
}

void mqx_raw_close(CXPLAT_DATAPATH *datapath)
{
    MqxRaw *raw = atomic_exchange(&datapath->Raw, NULL);
    if (atomic_load(&mqx_forked)) {
        return;
    }
    if (datapath->RawRetryAt != 0) {
        mqxGoRawForgive((uint64_t)(uintptr_t)datapath);
    }
    if (raw == NULL) {
        return;
    }
    close_slot(raw->Answers); /* from here on nothing changes the lists */
    mqx_gate_wait(raw->Answers);
    for (MqxSlot *slot = raw->Queues; slot != NULL; slot = slot->Next) {
        close_slot(slot);
    }
    for (MqxSlot *slot = raw->Queues; slot != NULL; slot = slot->Next) {
        mqx_gate_wait(slot);
    }
    for (MqxSlot *slot = raw->Ended; slot != NULL; slot = slot->Next) {
        mqx_gate_wait(slot);
    }
    mqxGoRawClose(raw->Engine);
    free_raw(raw);
}

void mqx_raw_count(struct msquicxdp_xdp_counters *sum)
{
    if (atomic_load(&is_asked) && !atomic_load(&mqx_forked)) {
        mqxGoRawCount(sum);
    }
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
    return raw->Queues; /* in map mode they stay as they are */
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
    mqx_count(&mqx_counters(0)->XdpNoRoute, 1);
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
        .Partition = socket->Endpoint[0]->Partition,
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

/* Hands the answers of neighbours to those who asked, and does what else there is to do. */
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
    update(slot->Partition->Datapath, slot->Raw);
    tell_notes(slot->Raw);
}
