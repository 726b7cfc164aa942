/* SPDX-License-Identifier: MIT */
/* rig.c - short forms. */
#include "host/rig.h"

#include <string.h>

#include "host/order.h"
#include "host/pattern.h"

static bool runtime_started;

/* The first datapath of the process starts the Go runtime, which keeps descriptors of its own. */
static void expect_runtime(void)
{
    if (!runtime_started) {
        runtime_started = true;
        check_keep_descriptors();
    }
}

static bool open_datapath(struct rig *rig, CXPLAT_DATAPATH_INIT_CONFIG config)
{
    rig->datapath = NULL;
    bool ok =
        CHECK_OK(CxPlatDataPathInitialize(
            RIG_CONTEXT_LENGTH, &inbox_udp, &inbox_tcp, rig->pool, &config, &rig->datapath)) &&
        CHECK(rig->datapath != NULL);
    expect_runtime();
    return ok;
}

bool rig_open(struct rig *rig, uint32_t workers)
{
    rig->external = false;
    rig->pool = host_pool_create(workers, NULL);
    return open_datapath(rig, (CXPLAT_DATAPATH_INIT_CONFIG){0});
}

bool rig_open_external(struct rig *rig, uint32_t workers)
{
    rig->external = true;
    rig->pool = host_pool_create_external(workers, NULL);
    bool ok = open_datapath(rig, (CXPLAT_DATAPATH_INIT_CONFIG){0});
    rig_poll(rig, 0); /* the archive's contexts arrive, */
    rig_poll(rig, 0); /* and are run: no test takes them for events of its own */
    return ok;
}

bool rig_open_maps(
    struct rig *rig, uint32_t workers, const CXPLAT_XDP_MAP_CONFIG *maps, uint32_t count)
{
    rig->external = false;
    rig->pool = host_pool_create(workers, NULL);
    return open_datapath(
        rig, (CXPLAT_DATAPATH_INIT_CONFIG){.XdpMapConfigs = maps, .XdpMapConfigCount = count});
}

void rig_close(struct rig *rig)
{
    if (rig->datapath != NULL) {
        CxPlatDataPathUninitialize(rig->datapath);
        rig->datapath = NULL;
    }
    if (rig->pool != NULL) {
        host_pool_delete(rig->pool);
        rig->pool = NULL;
    }
}

void rig_poll(struct rig *rig, int timeout_ms)
{
    uint32_t workers = CxPlatWorkerPoolGetCount(rig->pool);
    int events = 0;
    for (uint32_t i = 0; i + 1 < workers; i++) {
        events += host_pool_poll(rig->pool, (uint16_t)i, 0);
    }
    if (workers > 1 && timeout_ms > 1) {
        timeout_ms = 1; /* the others' events must not wait for the last one's */
    }
    host_pool_poll(rig->pool, (uint16_t)(workers - 1), events > 0 ? 0 : timeout_ms);
}

bool rig_check_status(QUIC_STATUS status, const char *text, const char *file, int line)
{
    if (status == QUIC_STATUS_SUCCESS) {
        return true;
    }
    char reason[256];
    msquicxdp_last_reason(reason, sizeof(reason));
    check_fail(
        "%s:%d: %s: status %d (%s); reason: %s", file, line, text, (int)status,
        strerror((int)status), reason);
    return false;
}

bool rig_check_refused(
    QUIC_STATUS status, QUIC_STATUS want, const char *text, const char *file, int line)
{
    bool same = check_equal((int)status, (int)want, text, file, line);
    if (msquicxdp_last_reason(NULL, 0) != 0) {
        return same;
    }
    check_fail("%s:%d: %s: status %d without a reason", file, line, text, (int)status);
    return false;
}

CXPLAT_SOCKET *rig_udp_flags(
    struct rig *rig,
    struct inbox *in,
    const QUIC_ADDR *local,
    const QUIC_ADDR *remote,
    CXPLAT_SOCKET_FLAGS flags)
{
    CXPLAT_SOCKET *socket = NULL;
    CXPLAT_UDP_CONFIG config = {
        .LocalAddress = local,
        .RemoteAddress = remote,
        .Flags = flags,
        .CallbackContext = in,
    };
    order_before_event();
    CHECK_OK(CxPlatSocketCreateUdp(rig->datapath, &config, &socket));
    return socket;
}

CXPLAT_SOCKET *rig_udp(
    struct rig *rig, struct inbox *in, const QUIC_ADDR *local, const QUIC_ADDR *remote)
{
    return rig_udp_flags(rig, in, local, remote, CXPLAT_SOCKET_FLAG_NONE);
}

CXPLAT_SOCKET *rig_tcp(struct rig *rig, struct inbox *in, const QUIC_ADDR *remote)
{
    CXPLAT_SOCKET *socket = NULL;
    order_before_event();
    CHECK_OK(CxPlatSocketCreateTcp(rig->datapath, NULL, remote, in, &socket));
    return socket;
}

CXPLAT_SOCKET *rig_listener(struct rig *rig, struct inbox *in, const QUIC_ADDR *local)
{
    CXPLAT_SOCKET *socket = NULL;
    order_before_event();
    CHECK_OK(CxPlatSocketCreateTcpListener(rig->datapath, local, in, &socket));
    return socket;
}

void rig_delete(CXPLAT_SOCKET *socket, struct inbox *in)
{
    if (socket != NULL) {
        CxPlatSocketDelete(socket);
        inbox_seal(in);
    }
}

QUIC_ADDR socket_local(CXPLAT_SOCKET *socket)
{
    QUIC_ADDR a;
    memset(&a, 0xff, sizeof(a));
    CxPlatSocketGetLocalAddress(socket, &a);
    return a;
}

QUIC_ADDR socket_remote(CXPLAT_SOCKET *socket)
{
    QUIC_ADDR a;
    memset(&a, 0xff, sizeof(a));
    CxPlatSocketGetRemoteAddress(socket, &a);
    return a;
}

static void never_called(
    void *Context, const uint8_t *PhysicalAddress, uint8_t PathId, BOOLEAN Succeeded)
{
    (void)Context, (void)PhysicalAddress, (void)PathId, (void)Succeeded;
    check_fail("the callback of a route that resolves at once was called");
}

CXPLAT_ROUTE route_to(CXPLAT_SOCKET *socket, const QUIC_ADDR *remote)
{
    CXPLAT_ROUTE route;
    memset(&route, 0, sizeof(route));
    order_before_event();
    CxPlatSocketGetLocalAddress(socket, &route.LocalAddress);
    route.RemoteAddress = *remote;
    CHECK_EQ(CxPlatResolveRoute(socket, &route, 0, NULL, never_called), QUIC_STATUS_SUCCESS);
    return route;
}

CXPLAT_ROUTE route_of(CXPLAT_SOCKET *socket)
{
    QUIC_ADDR remote = socket_remote(socket);
    return route_to(socket, &remote);
}

CXPLAT_SEND_DATA *send_open(
    CXPLAT_SOCKET *socket,
    CXPLAT_ROUTE *route,
    uint16_t packet_size,
    uint16_t length,
    QUIC_BUFFER **buffer)
{
    CXPLAT_SEND_CONFIG config = {.Route = route, .MaxPacketSize = packet_size};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(socket, &config);
    if (!CHECK(send != NULL)) {
        return NULL;
    }
    *buffer = CxPlatSendDataAllocBuffer(send, length);
    if (!CHECK(*buffer != NULL)) {
        CxPlatSendDataFree(send);
        return NULL;
    }
    CHECK_EQ((*buffer)->Length, length);
    order_before_event();
    return send;
}

bool send_bytes(CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, const void *data, uint16_t length)
{
    QUIC_BUFFER *buffer;
    CXPLAT_SEND_DATA *send = send_open(socket, route, 0, length, &buffer);
    if (send == NULL) {
        return false;
    }
    memcpy(buffer->Buffer, data, length);
    CxPlatSocketSend(socket, route, send);
    return true;
}

bool send_pattern(CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, uint16_t length, uint32_t seed)
{
    QUIC_BUFFER *buffer;
    CXPLAT_SEND_DATA *send = send_open(socket, route, 0, length, &buffer);
    if (send == NULL) {
        return false;
    }
    pattern_fill(buffer->Buffer, length, seed);
    CxPlatSocketSend(socket, route, send);
    return true;
}

bool send_batch(
    CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, unsigned count, uint16_t length, uint32_t seed)
{
    CXPLAT_SEND_CONFIG config = {.Route = route, .MaxPacketSize = length};
    order_before_event();
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(socket, &config);
    if (!CHECK(send != NULL)) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, length);
        if (!CHECK(buffer != NULL)) {
            CxPlatSendDataFree(send);
            return false;
        }
        pattern_fill(buffer->Buffer, length, seed + i);
    }
    CxPlatSocketSend(socket, route, send);
    return true;
}

struct msquicxdp_counters counters_now(void)
{
    struct msquicxdp_counters c = {.size = sizeof(c)};
    CHECK_EQ(msquicxdp_get_counters(&c), 0);
    return c;
}

void rig_start_runtime(void)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    CXPLAT_DATAPATH *datapath = NULL;
    CxPlatDataPathInitialize(0, &inbox_udp, &inbox_tcp, pool, NULL, &datapath);
    CxPlatDataPathUninitialize(datapath);
    host_pool_delete(pool);
    expect_runtime();
}

void rig_warm_up(void)
{
    CXPLAT_ADAPTER_ADDRESS *list = NULL;
    QUIC_ADDR address;
    uint32_t count;
    rig_start_runtime();
    memset(&address, 0, sizeof(address));
    CxPlatDataPathResolveAddress(NULL, "localhost", &address);
    CxPlatDataPathGetLocalAddresses(NULL, &list, &count);
    CxPlatFree(list, QUIC_POOL_DATAPATH_ADDRESSES);
}
