/* SPDX-License-Identifier: MIT */
/* socket.c - sockets: making, deleting, and what can be asked of them. */
#include <string.h>
#include <unistd.h>

#include "_cgo_export.h"
#include "internal.h"

/* A socket with count endpoints on partitions first, first + 1, ... NULL: out of memory. */
CXPLAT_SOCKET *mqx_socket_alloc(
    CXPLAT_DATAPATH *datapath, uint8_t kind, uint16_t count, uint16_t first)
{
    CXPLAT_SOCKET *socket =
        CxPlatAlloc(sizeof(*socket) + count * sizeof(socket->Endpoint[0]), QUIC_POOL_SOCKET);
    if (socket == NULL) {
        return NULL;
    }
    socket->Datapath = datapath;
    socket->Kind = kind;
    mqx_datapath_retain(datapath);
    for (uint16_t i = 0; i < count; i++) {
        MqxSlot *slot = mqx_slot_new(socket, &datapath->Partition[(first + i) % datapath->Count]);
        if (slot == NULL) {
            mqx_socket_close(socket);
            return NULL;
        }
        slot->Endpoint.Kind = kind;
        socket->Endpoint[socket->Count++] = &slot->Endpoint;
    }
    return socket;
}

/* In a child of fork Go cannot be entered, and the event queue is the parent's: only close. */
static MqxTx *close_endpoint(MqxEndpoint *endpoint)
{
    if (!atomic_load(&mqx_forked)) {
        return mqxGoClose(endpoint);
    }
    if (endpoint->Fd >= 0) {
        close(endpoint->Fd);
    }
    return endpoint->QueueHead;
}

/*
 * Ends a socket. Order matters: no new event is served, no new event comes, those being served are
 * waited for, and then the descriptors are closed, which frees the port before this returns.
 */
void mqx_socket_close(CXPLAT_SOCKET *socket)
{
    bool forked = atomic_load(&mqx_forked);
    if (socket->RawTicket != 0 && !forked) {
        mqxGoRawRemove(atomic_load(&socket->Datapath->Raw)->Engine, socket->RawTicket);
    }
    for (uint16_t i = 0; i < socket->Count; i++) {
        mqx_gate_close(mqx_slot(socket->Endpoint[i]));
        if (!forked) {
            mqxGoQuiesce(socket->Endpoint[i]);
        }
    }
    for (uint16_t i = 0; i < socket->Count; i++) {
        MqxSlot *slot = mqx_slot(socket->Endpoint[i]);
        if (!forked) { /* the thread that holds a gate does not exist in the child */
            mqx_gate_wait(slot);
        }
        mqx_tx_free_list(close_endpoint(&slot->Endpoint));
        mqx_slot_free(slot);
    }
    CXPLAT_DATAPATH *datapath = socket->Datapath;
    CxPlatFree(socket, QUIC_POOL_SOCKET);
    mqx_datapath_release(datapath);
}

void mqx_CxPlatSocketDelete(CXPLAT_SOCKET *socket)
{
    if (socket != NULL) {
        mqx_count(&mqx_counters(socket->Endpoint[0]->Partition)->Closed, 1);
        mqx_socket_close(socket);
    }
}

/* Opens the endpoints of a fresh socket, publishes it, and only then lets events come. */
static QUIC_STATUS open_and_watch(CXPLAT_SOCKET *socket, MqxOpen *request, CXPLAT_SOCKET **out)
{
    MqxCounters *counters = mqx_counters(socket->Endpoint[0]->Partition);
    request->Endpoint = socket->Endpoint;
    request->Count = socket->Count;
    request->Kind = socket->Kind;
    int status = mqxGoOpen(request);
    if (status != 0) {
        mqx_count(&counters->Refused, 1);
        mqx_socket_close(socket);
        return mqx_fail((QUIC_STATUS)status, "%s", request->Reason);
    }
    socket->Local = socket->Endpoint[0]->Local;
    socket->Remote = request->Remote;
    socket->HasRemote = request->HasRemote;
    mqx_count(&counters->Opened, 1);
    *out = socket;
    for (uint16_t i = 0; i < socket->Count; i++) {
        MqxSlot *slot = mqx_slot(socket->Endpoint[i]);
        mqx_gate_open(slot);
        mqx_slot_published(slot);
    }
    status = mqxGoWatch(request);
    if (status != 0) {
        *out = NULL;
        mqx_CxPlatSocketDelete(socket);
        return mqx_fail((QUIC_STATUS)status, "%s", request->Reason);
    }
    return QUIC_STATUS_SUCCESS;
}

static void copy_addresses(MqxOpen *request, const QUIC_ADDR *local, const QUIC_ADDR *remote)
{
    if (local != NULL) {
        request->Local = *local;
        request->HasLocal = TRUE;
    }
    if (remote != NULL) {
        request->Remote = *remote;
        request->HasRemote = TRUE;
    }
}

static QUIC_STATUS refuse(QUIC_STATUS status, const char *function, const char *why)
{
    mqx_count(&mqx_counters(0)->Refused, 1);
    return mqx_fail(status, "%s: %s", function, why);
}

enum {
    KNOWN_FLAGS = CXPLAT_SOCKET_FLAG_PCP | CXPLAT_SOCKET_FLAG_SHARE | CXPLAT_SOCKET_SERVER_OWNED |
                  CXPLAT_SOCKET_FLAG_XDP | CXPLAT_SOCKET_FLAG_QTIP | CXPLAT_SOCKET_FLAG_PARTITIONED
};

static QUIC_STATUS check_udp(CXPLAT_DATAPATH *datapath, const CXPLAT_UDP_CONFIG *config)
{
    static const char function[] = "CxPlatSocketCreateUdp";
    if (config->Flags & ~KNOWN_FLAGS) {
        return refuse(QUIC_STATUS_INVALID_PARAMETER, function, "unknown socket flags");
    }
    if (config->CibirIdLength > sizeof(config->CibirId)) {
        return refuse(
            QUIC_STATUS_INVALID_PARAMETER, function, "a CIBIR identifier has at most 6 bytes");
    }
    if (!datapath->HasUdp && !(config->Flags & CXPLAT_SOCKET_FLAG_PCP)) {
        return refuse(QUIC_STATUS_INVALID_PARAMETER, function, "the datapath has no UDP callbacks");
    }
    if (config->Flags & CXPLAT_SOCKET_FLAG_QTIP) {
        return refuse(
            QUIC_STATUS_INVALID_STATE, function,
            "QTIP needs AF_XDP, which this version does not have yet");
    }
    return QUIC_STATUS_SUCCESS;
}

/* What was asked for and is had in another way is said, never dropped in silence. */
static void tell_fallbacks(const CXPLAT_UDP_CONFIG *config, const MqxOpen *request)
{
    if (request->Reason[0] != '\0') {
        bool alone = config->CibirIdLength != 0;
        mqx_log(
            alone ? MSQUICXDP_LEVEL_WARNING : MSQUICXDP_LEVEL_INFO, "%s: %s",
            alone ? "the CIBIR listener serves its port alone"
                  : "the claim on the port is the kernel's only",
            request->Reason);
    }
}

/* A client's identifier is in its connection IDs, where MsQuic puts it: its port is its own. */
static void copy_cibir(MqxOpen *request, const CXPLAT_UDP_CONFIG *config)
{
    if (config->RemoteAddress == NULL && config->CibirIdLength != 0) {
        request->Cibir.Length = config->CibirIdLength;
        request->Cibir.SourceOffset = config->CibirIdOffsetSrc;
        request->Cibir.DestinationOffset = config->CibirIdOffsetDst;
        memcpy(request->Cibir.Id, config->CibirId, sizeof(request->Cibir.Id));
    }
}

/*
 * AF_XDP beside the kernel sockets, which hold the port and serve what does not come that way. What
 * cannot be had is counted and said, and the socket goes on without, until an interface can be served.
 */
static void attach_raw(CXPLAT_SOCKET *socket, MqxOpen *request)
{
    request->Reason[0] = '\0';
    MqxRaw *raw = mqx_raw(socket->Datapath, request->Reason);
    if (raw != NULL) {
        int status = mqxGoRawAdd(raw->Engine, request, &socket->RawTicket);
        if (status == 0) {
            mqxGoRawWhy(raw->Engine, request->Reason); /* none: it may be served later */
        }
    }
    if (request->Reason[0] != '\0') {
        mqx_count(&mqx_counters(0)->XdpUnavailable, 1);
        mqx_log(
            MSQUICXDP_LEVEL_WARNING, "XDP was asked for, and the socket works over the kernel: %s",
            request->Reason);
    }
}

/* False, and why, when AF_XDP cannot be had now. */
static bool has_raw(CXPLAT_DATAPATH *datapath, char *reason)
{
    MqxRaw *raw = mqx_raw(datapath, reason);
    if (raw != NULL) {
        mqxGoRawWhy(raw->Engine, reason);
    }
    return raw != NULL && reason[0] == '\0';
}

/* A client of whose peer AF_XDP knows the way sends from that way's address. */
static void choose_source(CXPLAT_DATAPATH *datapath, MqxOpen *request)
{
    MqxRaw *raw = request->HasRemote ? mqx_raw(datapath, request->Reason) : NULL;
    if (raw != NULL) {
        mqxGoRawSource(raw->Engine, request);
    }
    request->Reason[0] = '\0';
}

/* How many endpoints a UDP socket has: one, or one for each partition. */
static uint16_t count_endpoints(const CXPLAT_DATAPATH *datapath, const CXPLAT_UDP_CONFIG *config)
{
    if (config->RemoteAddress != NULL || (config->Flags & CXPLAT_SOCKET_FLAG_PARTITIONED) != 0) {
        return 1;
    }
    if (config->CibirIdLength != 0 && datapath->Count > MQX_CIBIR_SOCKETS) {
        return MQX_CIBIR_SOCKETS;
    }
    return datapath->Count;
}

static bool is_wildcard(const QUIC_ADDR *address)
{
    static const struct in6_addr any6;
    if (address->Ip.sa_family == AF_INET) {
        return address->Ipv4.sin_addr.s_addr == htonl(INADDR_ANY);
    }
    return memcmp(&address->Ipv6.sin6_addr, &any6, sizeof(any6)) == 0;
}

/* Map mode has no kernel that would choose a port or an address, or tell one family from the other. */
static QUIC_STATUS check_mapped(const CXPLAT_UDP_CONFIG *config, const MqxOpen *request)
{
    static const char function[] = "CxPlatSocketCreateUdp";
    const QUIC_ADDR *local = &request->Local, *remote = &request->Remote;
    if (!request->HasLocal || local->Ipv4.sin_port == 0) {
        return refuse(
            QUIC_STATUS_INVALID_PARAMETER, function, "in map mode a local port must be given");
    }
    if (config->InterfaceIndex != 0) {
        return refuse(
            QUIC_STATUS_NOT_SUPPORTED, function,
            "in map mode the maps say which interfaces there are, and routes which one to use");
    }
    if (!request->HasRemote) {
        return QUIC_STATUS_SUCCESS;
    }
    if (is_wildcard(local) || is_wildcard(remote) || remote->Ipv4.sin_port == 0) {
        return refuse(
            QUIC_STATUS_INVALID_PARAMETER, function,
            "in map mode the addresses of a connected socket must be given whole");
    }
    if (local->Ip.sa_family != remote->Ip.sa_family) {
        return refuse(
            QUIC_STATUS_INVALID_ADDRESS, function, "the addresses are of different families");
    }
    return QUIC_STATUS_SUCCESS;
}

/* A socket that is known to AF_XDP only: its endpoints are no more than names for it, and partitions. */
static QUIC_STATUS open_mapped(CXPLAT_SOCKET *socket, MqxOpen *request, CXPLAT_SOCKET **out)
{
    MqxCounters *counters = mqx_counters(socket->Endpoint[0]->Partition);
    socket->Local = request->Local;
    socket->Remote = request->Remote;
    socket->HasRemote = request->HasRemote;
    request->Endpoint = socket->Endpoint;
    request->Count = socket->Count;
    *out = socket; /* before the first up-call */
    for (uint16_t i = 0; i < socket->Count; i++) {
        MqxSlot *slot = mqx_slot(socket->Endpoint[i]);
        slot->Endpoint.Local = request->Local;
        slot->Endpoint.Cibir = request->Cibir;
        mqx_gate_open(slot);
        mqx_slot_published(slot);
    }
    int status =
        mqxGoRawAdd(atomic_load(&socket->Datapath->Raw)->Engine, request, &socket->RawTicket);
    if (status != 0) {
        *out = NULL;
        mqx_count(&counters->Refused, 1);
        mqx_socket_close(socket);
        return mqx_fail((QUIC_STATUS)status, "%s", request->Reason);
    }
    mqx_count(&counters->Opened, 1);
    return QUIC_STATUS_SUCCESS;
}

static QUIC_STATUS create_mapped(
    CXPLAT_SOCKET *socket, const CXPLAT_UDP_CONFIG *config, CXPLAT_SOCKET **out)
{
    MqxOpen request = {.Xdp = TRUE};
    copy_addresses(&request, config->LocalAddress, config->RemoteAddress);
    mqx_unmap(&request.Local);
    request.Local.Ipv6.sin6_scope_id = 0;
    copy_cibir(&request, config);
    QUIC_STATUS status = check_mapped(config, &request);
    if (QUIC_FAILED(status)) {
        mqx_socket_close(socket);
        return status;
    }
    return open_mapped(socket, &request, out);
}

static QUIC_STATUS refuse_raw(const char *reason)
{
    mqx_count(&mqx_counters(0)->Refused, 1);
    return mqx_fail(
        QUIC_STATUS_NOT_SUPPORTED, "CxPlatSocketCreateUdp: XDP is required, and cannot be had: %s",
        reason);
}

QUIC_STATUS mqx_CxPlatSocketCreateUdp(
    CXPLAT_DATAPATH *datapath, const CXPLAT_UDP_CONFIG *config, CXPLAT_SOCKET **out)
{
    if (out != NULL) {
        *out = NULL;
    }
    if (datapath == NULL || config == NULL || out == NULL) {
        return refuse(
            QUIC_STATUS_INVALID_PARAMETER, "CxPlatSocketCreateUdp",
            "needs a datapath, a configuration and a place for the socket");
    }
    QUIC_STATUS status = check_udp(datapath, config);
    if (QUIC_FAILED(status) || QUIC_FAILED(status = mqx_runtime_start())) {
        return status;
    }
    bool required = !datapath->MapMode && datapath->Xdp.Policy == MSQUICXDP_XDP_REQUIRE &&
                    (config->Flags & CXPLAT_SOCKET_FLAG_XDP) != 0;
    char reason[MQX_REASON];
    if (required && !has_raw(datapath, reason)) {
        return refuse_raw(reason);
    }
    uint16_t count = count_endpoints(datapath, config);
    CXPLAT_SOCKET *socket =
        mqx_socket_alloc(datapath, MQX_KIND_UDP, count, count == 1 ? config->PartitionIndex : 0);
    if (socket == NULL) {
        return refuse(QUIC_STATUS_OUT_OF_MEMORY, "CxPlatSocketCreateUdp", "out of memory");
    }
    socket->Context = config->CallbackContext;
    socket->Pcp = (config->Flags & CXPLAT_SOCKET_FLAG_PCP) != 0;
    if (datapath->MapMode) {
        return create_mapped(socket, config, out);
    }
    MqxOpen request = {
        .InterfaceIndex = config->InterfaceIndex,
        .Share = datapath->Count > 1 && (config->Flags & CXPLAT_SOCKET_FLAG_SHARE) != 0,
        .Coalesce = (datapath->Features & CXPLAT_DATAPATH_FEATURE_RECV_COALESCING) != 0,
        .Steer = socket->Count > 1,
        .Xdp = (config->Flags & CXPLAT_SOCKET_FLAG_XDP) != 0 &&
               datapath->Xdp.Policy != MSQUICXDP_XDP_NEVER,
    };
    copy_addresses(&request, config->LocalAddress, config->RemoteAddress);
    copy_cibir(&request, config);
    if (request.Xdp) {
        choose_source(datapath, &request);
    }
    status = open_and_watch(socket, &request, out);
    if (QUIC_FAILED(status)) {
        return status;
    }
    tell_fallbacks(config, &request);
    if (request.Xdp) {
        attach_raw(socket, &request);
    }
    if (required && socket->RawTicket == 0) {
        *out = NULL;
        mqx_CxPlatSocketDelete(socket);
        return refuse_raw(request.Reason);
    }
    return status;
}

static QUIC_STATUS create_tcp(
    CXPLAT_DATAPATH *datapath,
    const QUIC_ADDR *local,
    const QUIC_ADDR *remote,
    void *context,
    CXPLAT_SOCKET **out,
    const char *function)
{
    if (datapath->MapMode) {
        return refuse(QUIC_STATUS_NOT_SUPPORTED, function, "there is no TCP in map mode");
    }
    if (!datapath->HasTcp) {
        return refuse(QUIC_STATUS_INVALID_PARAMETER, function, "the datapath has no TCP callbacks");
    }
    QUIC_STATUS status = mqx_runtime_start();
    if (QUIC_FAILED(status)) {
        return status;
    }
    CXPLAT_SOCKET *socket =
        remote != NULL ? mqx_socket_alloc(
                             datapath, MQX_KIND_TCP, 1,
                             (uint16_t)(CxPlatProcCurrentNumber() % datapath->Count))
                       : mqx_socket_alloc(datapath, MQX_KIND_TCP_LISTENER, datapath->Count, 0);
    if (socket == NULL) {
        return refuse(QUIC_STATUS_OUT_OF_MEMORY, function, "out of memory");
    }
    socket->Context = context;
    MqxOpen request = {.Steer = socket->Count > 1};
    copy_addresses(&request, local, remote);
    return open_and_watch(socket, &request, out);
}

QUIC_STATUS mqx_CxPlatSocketCreateTcp(
    CXPLAT_DATAPATH *datapath,
    const QUIC_ADDR *local,
    const QUIC_ADDR *remote,
    void *context,
    CXPLAT_SOCKET **out)
{
    if (out != NULL) {
        *out = NULL;
    }
    if (datapath == NULL || remote == NULL || out == NULL) {
        return refuse(
            QUIC_STATUS_INVALID_PARAMETER, "CxPlatSocketCreateTcp",
            "needs a datapath, a remote address and a place for the socket");
    }
    return create_tcp(datapath, local, remote, context, out, "CxPlatSocketCreateTcp");
}

QUIC_STATUS mqx_CxPlatSocketCreateTcpListener(
    CXPLAT_DATAPATH *datapath, const QUIC_ADDR *local, void *context, CXPLAT_SOCKET **out)
{
    if (out != NULL) {
        *out = NULL;
    }
    if (datapath == NULL || out == NULL) {
        return refuse(
            QUIC_STATUS_INVALID_PARAMETER, "CxPlatSocketCreateTcpListener",
            "needs a datapath and a place for the socket");
    }
    return create_tcp(datapath, local, NULL, context, out, "CxPlatSocketCreateTcpListener");
}

QUIC_STATUS mqx_CxPlatSocketUpdateQeo(
    CXPLAT_SOCKET *socket, const CXPLAT_QEO_CONNECTION *offloads, uint32_t count)
{
    (void)socket;
    (void)offloads;
    (void)count;
    return QUIC_STATUS_NOT_SUPPORTED; /* asked for by default: no failure worth a reason */
}

BOOLEAN mqx_CxPlatSocketGetQtipEnabled(CXPLAT_SOCKET *socket)
{
    (void)socket;
    return FALSE;
}

uint16_t mqx_CxPlatSocketGetLocalMtu(CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route)
{
    (void)socket;
    enum { QTIP_OVERHEAD = 12 }; /* a TCP header where UDP's would be */
    return route != NULL && route->UseQTIP ? CXPLAT_MAX_MTU - QTIP_OVERHEAD : CXPLAT_MAX_MTU;
}

void mqx_CxPlatSocketGetLocalAddress(CXPLAT_SOCKET *socket, QUIC_ADDR *address)
{
    if (socket != NULL && address != NULL) {
        *address = socket->Local;
    }
}

void mqx_CxPlatSocketGetRemoteAddress(CXPLAT_SOCKET *socket, QUIC_ADDR *address)
{
    if (socket != NULL && address != NULL) {
        *address = socket->Remote;
    }
}

BOOLEAN mqx_CxPlatSocketRawSocketAvailable(CXPLAT_SOCKET *socket)
{
    return socket != NULL && (socket->Datapath->MapMode ||
                              (socket->RawTicket != 0 &&
                               atomic_load(&atomic_load(&socket->Datapath->Raw)->Served) != 0));
}

QUIC_STATUS mqx_CxPlatSocketGetTcpStatistics(
    CXPLAT_SOCKET *socket, CXPLAT_TCP_STATISTICS *statistics)
{
    (void)socket;
    if (statistics != NULL) {
        memset(statistics, 0, sizeof(*statistics));
    }
    return QUIC_STATUS_NOT_SUPPORTED;
}
