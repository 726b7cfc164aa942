/* SPDX-License-Identifier: MIT */
/*
 * fuzz_test.c - all 34 functions in random order, from several threads and from up-calls, with arguments that are
 * right, and that are wrong in every way that the contract allows a caller: NULL, junk in routes, lengths, flags and
 * addresses that cannot be. On kernel sockets, AF_XDP sockets and streams at once, while the network changes.
 *
 * MSQUICXDP_FUZZ_SECONDS says how long (5), MSQUICXDP_FUZZ_SEED where it begins (1). The seed fixes what each thread
 * asks for, not how threads meet.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/link.h"
#include "host/memory.h"
#include "host/peer.h"
#include "host/platform.h"
#include "host/random.h"
#include "host/redirect.h"
#include "host/rig.h"
#include "host/wire.h"

enum { THREADS = 4, SLOTS = 24, WAITING = 4096, KEPT = 128, ROUTES = 16, EPISODE_MS = 4000 };

/* A place for a socket. Who uses the socket reads, who makes or deletes it writes. */
struct slot {
    pthread_rwlock_t lock;
    CXPLAT_SOCKET *socket;
    struct inbox in;
    bool is_accepted; /* then its up-calls go to the stage's inbox for those */
};

/* What all threads play with, in one episode. */
static struct stage {
    struct rig rig;
    struct slot slots[SLOTS];
    struct inbox accepted_in;
    pthread_mutex_t lock;            /* for what follows */
    CXPLAT_SOCKET *waiting[WAITING]; /* accepted, and nobody's yet */
    unsigned n_waiting;
    CXPLAT_RECV_DATA *kept[KEPT];
    CXPLAT_ROUTE routes[ROUTES];
    uint16_t ports[ROUTES]; /* of sockets */
} stage;

static _Atomic bool stop;
static _Atomic uint64_t seed, streams;
static _Atomic uint64_t pending, resolved; /* resolutions that will call back; that did */
static _Atomic uint64_t datagrams, raw;    /* received; of them by AF_XDP */
static _Atomic uint64_t mapped;            /* datapaths that were in map mode */

/* ---- counting calls ---- */

enum function {
#define FUNCTION(name) CALL_##name,
#define FUNCTIONS                                                                                  \
    FUNCTION(CxPlatDataPathGetGatewayAddresses)                                                    \
    FUNCTION(CxPlatDataPathGetLocalAddressForRemote)                                               \
    FUNCTION(CxPlatDataPathGetLocalAddresses)                                                      \
    FUNCTION(CxPlatDataPathGetSupportedFeatures)                                                   \
    FUNCTION(CxPlatDataPathGetXdpRuleCount)                                                        \
    FUNCTION(CxPlatDataPathInitialize)                                                             \
    FUNCTION(CxPlatDataPathIsPaddingPreferred)                                                     \
    FUNCTION(CxPlatDataPathResolveAddress)                                                         \
    FUNCTION(CxPlatDataPathRssConfigFree)                                                          \
    FUNCTION(CxPlatDataPathRssConfigGet)                                                           \
    FUNCTION(CxPlatDataPathUninitialize)                                                           \
    FUNCTION(CxPlatDataPathUpdatePollingIdleTimeout)                                               \
    FUNCTION(CxPlatRecvDataReturn)                                                                 \
    FUNCTION(CxPlatResolveRoute)                                                                   \
    FUNCTION(CxPlatResolveRouteComplete)                                                           \
    FUNCTION(CxPlatSendDataAlloc)                                                                  \
    FUNCTION(CxPlatSendDataAllocBuffer)                                                            \
    FUNCTION(CxPlatSendDataFree)                                                                   \
    FUNCTION(CxPlatSendDataFreeBuffer)                                                             \
    FUNCTION(CxPlatSendDataIsFull)                                                                 \
    FUNCTION(CxPlatSocketCreateTcp)                                                                \
    FUNCTION(CxPlatSocketCreateTcpListener)                                                        \
    FUNCTION(CxPlatSocketCreateUdp)                                                                \
    FUNCTION(CxPlatSocketDelete)                                                                   \
    FUNCTION(CxPlatSocketGetLocalAddress)                                                          \
    FUNCTION(CxPlatSocketGetLocalMtu)                                                              \
    FUNCTION(CxPlatSocketGetQtipEnabled)                                                           \
    FUNCTION(CxPlatSocketGetRemoteAddress)                                                         \
    FUNCTION(CxPlatSocketGetTcpStatistics)                                                         \
    FUNCTION(CxPlatSocketRawSocketAvailable)                                                       \
    FUNCTION(CxPlatSocketSend)                                                                     \
    FUNCTION(CxPlatSocketUpdateQeo)                                                                \
    FUNCTION(CxPlatUpdateRoute)                                                                    \
    FUNCTION(QuicCopyRouteInfo)
    FUNCTIONS
#undef FUNCTION
        FUNCTION_COUNT
};

static const char *const function_names[] = {
#define FUNCTION(name) #name,
    FUNCTIONS
#undef FUNCTION
};

static _Atomic uint64_t calls[FUNCTION_COUNT];

/* Calls a function, and counts it. */
#define CALL(name, ...) (atomic_fetch_add(&calls[CALL_##name], 1), name(__VA_ARGS__))

/* ---- random arguments ---- */

/* The calling thread's own, made when it first asks. */
static struct random *mine(void)
{
    static __thread struct random r;
    if (r.state == 0) {
        r = random_of(atomic_load(&seed), atomic_fetch_add(&streams, 1));
    }
    return &r;
}

/* Of one of the sockets. */
static uint16_t some_port(struct random *r)
{
    pthread_mutex_lock(&stage.lock);
    uint16_t port = stage.ports[random_below(r, ROUTES)];
    pthread_mutex_unlock(&stage.lock);
    return port;
}

static QUIC_ADDR any_address(struct random *r)
{
    static const char *const ips[] = {
        "127.0.0.1", "::1", "0.0.0.0", "::", "127.0.0.1", "192.168.1.99", "fc00::1:99", "::1"};
    static const uint16_t ports[] = {0, 0, 4433, 4434, 4435, 4436, 65535};
    unsigned n = random_below(r, 20);
    const char *ip = n < 8 ? ips[n] : n < 16 ? wire_ip4[n % 2] : wire_ip6[n % 2];
    QUIC_ADDR a = addr(ip, random_one_in(r, 2) ? some_port(r) : ports[random_below(r, 7)]);
    if (random_one_in(r, 60)) {
        random_fill(r, &a, sizeof(a));
    }
    if (random_one_in(r, 60)) {
        a = addr_mapped(&a);
    }
    return a;
}

/* One time in n nothing. */
static const QUIC_ADDR *maybe(struct random *r, uint32_t n, QUIC_ADDR *a)
{
    *a = any_address(r);
    return random_one_in(r, n) ? NULL : a;
}

static CXPLAT_ROUTE any_route(struct random *r, CXPLAT_SOCKET *socket)
{
    CXPLAT_ROUTE route;
    memset(&route, 0, sizeof(route));
    if (random_one_in(r, 3)) {
        pthread_mutex_lock(&stage.lock);
        route = stage.routes[random_below(r, ROUTES)];
        pthread_mutex_unlock(&stage.lock);
    }
    if (socket != NULL && random_one_in(r, 2)) {
        CALL(CxPlatSocketGetRemoteAddress, socket, &route.RemoteAddress);
        CALL(CxPlatSocketGetLocalAddress, socket, &route.LocalAddress);
    }
    if (route.RemoteAddress.Ip.sa_family == AF_UNSPEC || random_one_in(r, 8)) {
        route.RemoteAddress = any_address(r);
    }
    switch (random_below(r, 24)) {
    case 0: route.Queue = (CXPLAT_QUEUE *)(uintptr_t)random_next(r); break;
    case 1: route.Queue = (CXPLAT_QUEUE *)&stage.routes[random_below(r, ROUTES)]; break;
    case 2: route.State = (CXPLAT_ROUTE_STATE)random_below(r, 6); break;
    case 3: route.DatapathType = (uint16_t)(random_below(r, 4) & 0x7fff); break;
    case 4: random_fill(r, route.NextHopLinkLayerAddress, 6); break;
    case 5: route.LocalAddress = any_address(r); break;
    case 6: route.UseQTIP = 1; break;
    default: break;
    }
    return route;
}

/* ---- received data ---- */

static void save_route(struct random *r, CXPLAT_RECV_DATA *data)
{
    CXPLAT_ROUTE route;
    memset(&route, 0, sizeof(route));
    CALL(QuicCopyRouteInfo, &route, data->Route);
    CALL(CxPlatUpdateRoute, &route, data->Route);
    if (route.RemoteAddress.Ip.sa_family != AF_UNSPEC) {
        pthread_mutex_lock(&stage.lock);
        stage.routes[random_below(r, ROUTES)] = route;
        pthread_mutex_unlock(&stage.lock);
    }
}

/* Takes out of a random place what was kept there, and keeps another. */
static CXPLAT_RECV_DATA *swap_kept(struct random *r, CXPLAT_RECV_DATA *data)
{
    unsigned at = random_below(r, KEPT);
    pthread_mutex_lock(&stage.lock);
    CXPLAT_RECV_DATA *before = stage.kept[at];
    stage.kept[at] = data;
    pthread_mutex_unlock(&stage.lock);
    return before;
}

/* Elements of several up-calls, sockets and kinds in one chain. */
static void return_some(struct random *r)
{
    CXPLAT_RECV_DATA *chain = NULL;
    for (unsigned n = random_below(r, 6); n > 0; n--) {
        CXPLAT_RECV_DATA *data = swap_kept(r, NULL);
        if (data != NULL) {
            data->Next = chain;
            chain = data;
        }
    }
    CALL(CxPlatRecvDataReturn, chain);
}

static void send_something(struct random *r, CXPLAT_SOCKET *socket, CXPLAT_ROUTE route);
static void create_udp(struct random *r);

/* Inside an up-call: everything that core does there. */
static bool on_receive(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    struct random *r = mine();
    (void)in;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        atomic_fetch_add(&datagrams, 1);
        atomic_fetch_add(&raw, data->DatapathType == CXPLAT_DATAPATH_TYPE_RAW);
    }
    save_route(r, chain);
    if (random_one_in(r, 4)) {
        send_something(r, socket, random_one_in(r, 2) ? *chain->Route : any_route(r, socket));
    }
    if (random_one_in(r, 200)) {
        create_udp(r);
    }
    if (random_one_in(r, 2)) {
        return false; /* the inbox checks and returns it */
    }
    while (chain != NULL) {
        CXPLAT_RECV_DATA *next = chain->Next;
        chain->Next = NULL;
        memset(chain->Buffer, 0xa5, chain->BufferLength);
        CALL(CxPlatRecvDataReturn, swap_kept(r, chain));
        chain = next;
    }
    return true;
}

static void pcp_receive(CXPLAT_SOCKET *Socket, void *Context, CXPLAT_RECV_DATA *RecvDataChain)
{
    (void)Socket, (void)Context;
    CALL(CxPlatRecvDataReturn, RecvDataChain);
}

/* An accepted socket waits for somebody who takes it. */
static void on_other(struct inbox *in, CXPLAT_SOCKET *socket, enum inbox_event event)
{
    if (event != INBOX_ACCEPTED || in->rejection != 0) {
        return;
    }
    pthread_mutex_lock(&stage.lock);
    if (CHECK(stage.n_waiting < WAITING)) {
        stage.waiting[stage.n_waiting++] = socket;
    }
    pthread_mutex_unlock(&stage.lock);
}

/* ---- sockets ---- */

/* A slot that this thread may fill; NULL when the one that it looked at is in use. */
static struct slot *empty_slot(struct random *r)
{
    struct slot *s = &stage.slots[random_below(r, SLOTS)];
    if (pthread_rwlock_trywrlock(&s->lock) != 0) {
        return NULL;
    }
    if (s->socket != NULL) {
        pthread_rwlock_unlock(&s->lock);
        return NULL;
    }
    inbox_init(&s->in, &stage.rig);
    s->in.no_copies = s->in.raw = true;
    s->in.on_receive = on_receive;
    s->in.on_other = on_other;
    s->is_accepted = false;
    return s;
}

/* Where a server listens, others will send. */
static void note_port(struct random *r, CXPLAT_SOCKET *socket)
{
    QUIC_ADDR local, remote;
    CALL(CxPlatSocketGetLocalAddress, socket, &local);
    CALL(CxPlatSocketGetRemoteAddress, socket, &remote);
    if (remote.Ip.sa_family == AF_UNSPEC) {
        pthread_mutex_lock(&stage.lock);
        stage.ports[random_below(r, ROUTES)] = addr_port(&local);
        pthread_mutex_unlock(&stage.lock);
    }
}

/* The slot is anybody's again, with a socket or without. */
static void filled(struct random *r, struct slot *s, QUIC_STATUS status)
{
    CHECK((s->socket != NULL) == QUIC_SUCCEEDED(status));
    CHECK(status == QUIC_STATUS_SUCCESS || QUIC_FAILED(status));
    if (s->socket == NULL) {
        inbox_seal(&s->in);
        inbox_free(&s->in);
    } else {
        note_port(r, s->socket);
    }
    pthread_rwlock_unlock(&s->lock);
}

static CXPLAT_SOCKET_FLAGS any_flags(struct random *r)
{
    unsigned flags = (unsigned)random_next(r) & 0x26; /* SHARE, SERVER_OWNED, PARTITIONED */
    if (!random_one_in(r, 4)) {
        flags |= CXPLAT_SOCKET_FLAG_XDP;
    }
    if (random_one_in(r, 20)) {
        flags |= CXPLAT_SOCKET_FLAG_PCP;
    }
    if (random_one_in(r, 20)) {
        flags |= CXPLAT_SOCKET_FLAG_QTIP;
    }
    if (random_one_in(r, 50)) {
        flags = (unsigned)random_next(r);
    }
    return (CXPLAT_SOCKET_FLAGS)flags;
}

static void create_udp(struct random *r)
{
    struct slot *s = empty_slot(r);
    if (s == NULL) {
        return;
    }
    QUIC_ADDR local, remote;
    CXPLAT_UDP_CONFIG config = {
        .LocalAddress = maybe(r, 3, &local),
        .RemoteAddress = maybe(r, 2, &remote),
        .Flags = any_flags(r),
        .PartitionIndex = (uint16_t)(random_one_in(r, 4) ? random_next(r) : 0),
        .CallbackContext = &s->in,
    };
    if (random_one_in(r, 2)) { /* what core asks for most: a server, or a client of one */
        remote = addr(wire_ip4[random_below(r, 2)], some_port(r));
        config.LocalAddress = NULL;
        config.RemoteAddress = random_one_in(r, 3) ? NULL : &remote;
        config.Flags = CXPLAT_SOCKET_FLAG_XDP;
    }
    if (random_one_in(r, 8)) {
        config.InterfaceIndex =
            random_below(r, 5) == 0 ? (uint32_t)random_next(r) : 1 + random_below(r, 4);
    }
    if (random_one_in(r, 6)) {
        config.CibirIdLength =
            (uint8_t)(random_one_in(r, 10) ? random_next(r) : 1 + random_below(r, 2));
        config.CibirIdOffsetSrc = (uint8_t)(random_one_in(r, 10) ? random_next(r) : 2);
        config.CibirIdOffsetDst = config.CibirIdOffsetSrc;
        config.CibirId[0] = (uint8_t)random_below(r, 3);
    }
    filled(r, s, CALL(CxPlatSocketCreateUdp, stage.rig.datapath, &config, &s->socket));
}

static void create_tcp(struct random *r)
{
    struct slot *s = empty_slot(r);
    if (s == NULL) {
        return;
    }
    QUIC_ADDR local, remote;
    const QUIC_ADDR *from = maybe(r, 2, &local), *to = maybe(r, 40, &remote);
    filled(r, s, CALL(CxPlatSocketCreateTcp, stage.rig.datapath, from, to, &s->in, &s->socket));
}

static void create_listener(struct random *r)
{
    struct slot *s = empty_slot(r);
    if (s == NULL) {
        return;
    }
    QUIC_ADDR local;
    const QUIC_ADDR *at = maybe(r, 4, &local);
    if (random_one_in(r, 3)) {
        s->in.rejection = QUIC_STATUS_ABORTED;
    }
    s->in.accepting = &stage.accepted_in;
    filled(r, s, CALL(CxPlatSocketCreateTcpListener, stage.rig.datapath, at, &s->in, &s->socket));
}

/* Takes a socket that a listener has accepted. */
static CXPLAT_SOCKET *accepted(void)
{
    pthread_mutex_lock(&stage.lock);
    CXPLAT_SOCKET *socket = stage.n_waiting > 0 ? stage.waiting[--stage.n_waiting] : NULL;
    pthread_mutex_unlock(&stage.lock);
    return socket;
}

static void adopt(struct random *r)
{
    struct slot *s = empty_slot(r);
    if (s == NULL) {
        CXPLAT_SOCKET *socket = accepted();
        if (socket != NULL) {
            CALL(CxPlatSocketDelete, socket);
        }
        return;
    }
    s->socket = accepted();
    s->is_accepted = s->socket != NULL;
    inbox_free(&s->in);
    pthread_rwlock_unlock(&s->lock);
}

static void empty(struct slot *s)
{
    if (s->socket == NULL) {
        return;
    }
    CALL(CxPlatSocketDelete, s->socket);
    s->socket = NULL;
    if (!s->is_accepted) {
        inbox_seal(&s->in);
        inbox_free(&s->in);
    }
}

static void delete_one(struct random *r)
{
    struct slot *s = &stage.slots[random_below(r, SLOTS)];
    if (random_one_in(r, 50)) {
        CALL(CxPlatSocketDelete, NULL);
    }
    if (pthread_rwlock_trywrlock(&s->lock) == 0) {
        empty(s);
        pthread_rwlock_unlock(&s->lock);
    }
}

/* ---- using sockets ---- */

static void fill(struct random *r, QUIC_BUFFER *buffer)
{
    uint32_t length = buffer->Length;
    random_fill(r, buffer->Buffer, length < 64 ? length : 64);
    buffer->Buffer[length - 1] = 1;
    switch (random_below(r, 24)) {
    case 0: buffer->Length = random_below(r, length + 1); break;
    case 1: buffer->Length = length + random_below(r, 70000); break; /* more than there is */
    case 2: buffer->Length = 0; break;
    default: break;
    }
}

static void put_buffers(struct random *r, CXPLAT_SEND_DATA *send, uint16_t size)
{
    for (unsigned n = random_below(r, random_one_in(r, 10) ? 70 : 4); n > 0; n--) {
        uint16_t length = size != 0 ? size : 1200;
        if (random_one_in(r, 4)) {
            length = (uint16_t)(random_one_in(r, 20) ? random_next(r) : random_below(r, 1473));
        }
        QUIC_BUFFER *buffer = CALL(CxPlatSendDataAllocBuffer, send, length);
        if (buffer == NULL) {
            break;
        }
        if (!CHECK_EQ(buffer->Length, length)) {
            break;
        }
        fill(r, buffer);
        if (random_one_in(r, 10)) {
            CALL(CxPlatSendDataFreeBuffer, send, buffer);
        }
        if (random_one_in(r, 3) && CALL(CxPlatSendDataIsFull, send)) {
            break;
        }
    }
}

static void send_something(struct random *r, CXPLAT_SOCKET *socket, CXPLAT_ROUTE route)
{
    CXPLAT_SEND_CONFIG config = {
        .Route = random_one_in(r, 100) ? NULL : &route,
        .MaxPacketSize = (uint16_t)(random_one_in(r, 20) ? random_next(r) : random_below(r, 1473)),
        .ECN = (uint8_t)random_below(r, 4),
        .DSCP = (uint8_t)(random_one_in(r, 20) ? random_next(r) : random_below(r, 64)),
        .Flags = (uint8_t)random_below(r, 3),
    };
    if (random_one_in(r, 3)) {
        config.MaxPacketSize = random_one_in(r, 2) ? 0 : 1200;
    }
    CXPLAT_SEND_DATA *send = CALL(CxPlatSendDataAlloc, socket, &config);
    if (send == NULL) {
        return;
    }
    put_buffers(r, send, config.MaxPacketSize);
    CHECK(CALL(CxPlatDataPathIsPaddingPreferred, stage.rig.datapath, send) <= TRUE);
    CXPLAT_ROUTE other = any_route(r, socket);
    switch (random_below(r, 12)) {
    case 0: CALL(CxPlatSendDataFree, send); break;
    case 1: CALL(CxPlatSocketSend, socket, &other, send); break;
    case 2: CALL(CxPlatSocketSend, socket, random_one_in(r, 4) ? NULL : &other, send); break;
    default: CALL(CxPlatSocketSend, socket, &route, send); break;
    }
}

static void route_is_resolved(
    void *Context, const uint8_t *PhysicalAddress, uint8_t PathId, BOOLEAN Succeeded)
{
    CHECK((PhysicalAddress != NULL) == (Succeeded != FALSE));
    CXPLAT_ROUTE route;
    memset(&route, 0, sizeof(route));
    route.DatapathType = CXPLAT_DATAPATH_TYPE_RAW;
    if (Succeeded) {
        CALL(CxPlatResolveRouteComplete, NULL, &route, PhysicalAddress, PathId);
        CHECK_EQ(route.State, RouteResolved);
    }
    atomic_fetch_add((_Atomic uint64_t *)Context, 1);
}

/* Resolves a route, and sends on it when it is ready. */
static void resolve(struct random *r, CXPLAT_SOCKET *socket)
{
    CXPLAT_ROUTE route = any_route(r, socket);
    _Atomic uint64_t *count = &resolved;
    atomic_fetch_add(&pending, 1);
    QUIC_STATUS status = CALL(
        CxPlatResolveRoute, socket, &route, (uint8_t)random_next(r), (void *)count,
        route_is_resolved);
    if (status == QUIC_STATUS_SUCCESS) {
        atomic_fetch_sub(&pending, 1); /* no callback */
        CHECK_EQ(route.State, RouteResolved);
        send_something(r, socket, route);
    } else {
        CHECK(status == QUIC_STATUS_PENDING || QUIC_FAILED(status));
    }
}

static void query(struct random *r, CXPLAT_SOCKET *socket)
{
    QUIC_ADDR address;
    CXPLAT_ROUTE route = any_route(r, socket);
    CXPLAT_TCP_STATISTICS statistics;
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    route.DatapathType = CXPLAT_DATAPATH_TYPE_RAW;
    CALL(CxPlatResolveRouteComplete, NULL, &route, mac, 0);
    CHECK_EQ(route.State, RouteResolved);
    CALL(CxPlatSocketGetLocalAddress, socket, &address);
    CALL(CxPlatSocketGetRemoteAddress, socket, &address);
    uint16_t mtu = CALL(CxPlatSocketGetLocalMtu, socket, random_one_in(r, 4) ? NULL : &route);
    CHECK(mtu > 0 && mtu <= CXPLAT_MAX_MTU);
    CHECK(CALL(CxPlatSocketRawSocketAvailable, socket) <= TRUE);
    CHECK_EQ(CALL(CxPlatSocketGetQtipEnabled, socket), FALSE);
    CXPLAT_QEO_CONNECTION offload;
    memset(&offload, 0, sizeof(offload));
    CHECK(QUIC_FAILED(CALL(CxPlatSocketUpdateQeo, socket, &offload, random_below(r, 2))));
    QUIC_STATUS status = CALL(CxPlatSocketGetTcpStatistics, socket, &statistics);
    CHECK(status == QUIC_STATUS_SUCCESS || QUIC_FAILED(status));
}

static void use_one(struct random *r, void (*use)(struct random *r, CXPLAT_SOCKET *socket))
{
    struct slot *s = &stage.slots[random_below(r, SLOTS)];
    if (pthread_rwlock_tryrdlock(&s->lock) != 0) {
        return;
    }
    if (s->socket != NULL) {
        use(r, s->socket);
    }
    pthread_rwlock_unlock(&s->lock);
}

static void send_on(struct random *r, CXPLAT_SOCKET *socket)
{
    send_something(r, socket, any_route(r, socket));
}

/* ---- the host, and datapaths ---- */

static void ask_host(struct random *r)
{
    static const char *const names[] = {"localhost", "127.0.0.1",    "::1",          "",
                                        "300.1.1.1", "no such host", "ip6-localhost"};
    CXPLAT_DATAPATH *datapath = random_one_in(r, 2) ? NULL : stage.rig.datapath;
    QUIC_ADDR address = any_address(r), *gateways = NULL, local;
    CXPLAT_ADAPTER_ADDRESS *addresses = NULL;
    CXPLAT_RSS_CONFIG *rss = NULL;
    uint32_t count = 0;
    if (random_one_in(r, 8)) {
        CALL(CxPlatDataPathResolveAddress, datapath, names[random_below(r, 7)], &address);
    }
    if (CALL(CxPlatDataPathGetLocalAddresses, datapath, &addresses, &count) ==
        QUIC_STATUS_SUCCESS) {
        CxPlatFree(addresses, QUIC_POOL_DATAPATH_ADDRESSES);
    }
    if (CALL(CxPlatDataPathGetGatewayAddresses, datapath, &gateways, &count) ==
        QUIC_STATUS_SUCCESS) {
        CxPlatFree(gateways, QUIC_POOL_DATAPATH_ADDRESSES);
    }
    address = any_address(r);
    CALL(CxPlatDataPathGetLocalAddressForRemote, &address, &local);
    CALL(CxPlatDataPathRssConfigGet, random_below(r, 6), &rss);
    CALL(CxPlatDataPathRssConfigFree, rss);
    CALL(CxPlatDataPathGetSupportedFeatures, datapath, any_flags(r));
    CALL(CxPlatDataPathGetXdpRuleCount, datapath);
    static const uint32_t idle[] = {0, 0, 0, 100, 1000};
    CALL(CxPlatDataPathUpdatePollingIdleTimeout, datapath, idle[random_below(r, 5)]);
    CALL(CxPlatDataPathIsPaddingPreferred, datapath, NULL);
    msquicxdp_last_reason(NULL, 0);
    counters_now();
}

enum { MAPS = 4 };

/* A map for map mode: a right one, one of another type, no map, no descriptor. It is the caller's to close. */
static int any_map(struct random *r)
{
    switch (random_below(r, 6)) {
    case 0: return redirect_map(BPF_MAP_TYPE_ARRAY, 1 + random_below(r, 4));
    case 1: return open("/dev/null", O_RDONLY | O_CLOEXEC);
    case 2: return -1 - (int)random_below(r, 3);
    case 3: return (1 << 20) + (int)random_below(r, 1000); /* dead */
    default: return redirect_map(BPF_MAP_TYPE_XSKMAP, 1 + random_below(r, 4));
    }
}

/* Half of all are not for map mode. The others name interfaces that are there, that are not, or the same twice. */
static CXPLAT_DATAPATH_INIT_CONFIG any_config(struct random *r, CXPLAT_XDP_MAP_CONFIG maps[MAPS])
{
    static const uint32_t none[] = {0, 77, UINT32_MAX};
    uint32_t count = random_below(r, MAPS + 1);
    for (unsigned i = 0; i < MAPS; i++) {
        maps[i].InterfaceIndex = random_one_in(r, 3) ? none[random_below(r, 3)]
                                                     : if_nametoindex(wire_end[random_below(r, 2)]);
        maps[i].MapHandle = -1;
    }
    if (random_one_in(r, 2)) {
        return (CXPLAT_DATAPATH_INIT_CONFIG){.XdpMapConfigs = maps};
    }
    for (unsigned i = 0; i < count; i++) {
        maps[i].MapHandle = any_map(r);
    }
    return (CXPLAT_DATAPATH_INIT_CONFIG){
        .XdpMapConfigs = random_one_in(r, 8) ? NULL : maps, .XdpMapConfigCount = count};
}

/* Another datapath on the same pool, as tools have it. */
static void another_datapath(struct random *r)
{
    static const CXPLAT_UDP_DATAPATH_CALLBACKS half = {0};
    CXPLAT_XDP_MAP_CONFIG maps[MAPS];
    CXPLAT_DATAPATH_INIT_CONFIG config = any_config(r, maps);
    CXPLAT_DATAPATH *datapath = NULL;
    QUIC_STATUS status = CALL(
        CxPlatDataPathInitialize,
        random_one_in(r, 10) ? (uint32_t)random_next(r) : random_below(r, 4097),
        random_one_in(r, 10) ? &half : &inbox_udp, random_one_in(r, 2) ? NULL : &inbox_tcp,
        random_one_in(r, 20) ? NULL : stage.rig.pool, random_one_in(r, 4) ? NULL : &config,
        random_one_in(r, 20) ? NULL : &datapath);
    CHECK((datapath != NULL) == (status == QUIC_STATUS_SUCCESS));
    atomic_fetch_add(&mapped, datapath != NULL && config.XdpMapConfigCount > 0);
    CALL(CxPlatDataPathUninitialize, datapath);
    for (unsigned i = 0; i < MAPS; i++) {
        if (maps[i].MapHandle >= 0) {
            close(maps[i].MapHandle);
        }
    }
}

/* ---- threads ---- */

static void act(struct random *r)
{
    unsigned n = random_below(r, 100);
    if (n < 25) {
        use_one(r, send_on);
    } else if (n < 55) {
        use_one(r, resolve);
    } else if (n < 65) {
        use_one(r, query);
    } else if (n < 75) {
        create_udp(r);
    } else if (n < 78) {
        create_tcp(r);
    } else if (n < 80) {
        create_listener(r);
    } else if (n < 83) {
        adopt(r);
    } else if (n < 89) {
        delete_one(r);
    } else if (n < 97) {
        return_some(r);
    } else if (n < 99) {
        ask_host(r);
    } else {
        another_datapath(r);
    }
}

static void *play(void *unused)
{
    struct random *r = mine();
    while (!atomic_load(&stop)) {
        bool fails = random_one_in(r, 20);
        if (fails) {
            host_fail_nth(HOST_THIS_THREAD, 1 + random_below(r, 4));
        }
        act(r);
        if (fails) {
            host_fail_off(HOST_THIS_THREAD);
        }
    }
    return unused;
}

/* Plain kernel sockets, which send to whoever listens, and connect. */
static void *strangers(void *unused)
{
    struct random *r = mine();
    QUIC_ADDR any = addr_any(0);
    int udp = peer_udp(&any);
    uint8_t payload[1400];
    while (CHECK(udp >= 0) && !atomic_load(&stop)) {
        QUIC_ADDR to = any_address(r), mapped = addr_mapped(&to);
        random_fill(r, payload, 64);
        if (to.Ip.sa_family != AF_INET6 && to.Ip.sa_family != AF_INET) {
            continue;
        }
        peer_send(udp, &mapped, payload, random_below(r, sizeof(payload)));
        if (random_one_in(r, 50) && addr_port(&to) != 0) {
            int tcp = socket(to.Ip.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            if (connect(tcp, &to.Ip, addr_length(&to)) != 0 || random_one_in(r, 2)) {
                usleep(100);
            }
            (void)!send(tcp, payload, 64, MSG_NOSIGNAL);
            close(tcp);
        }
    }
    close(udp);
    return unused;
}

/* In an external pool somebody has to poll. */
static void *poll_all(void *unused)
{
    while (!atomic_load(&stop)) {
        rig_poll(&stage.rig, 5);
    }
    return unused;
}

/* ---- episodes ---- */

static bool set_up(struct random *r, bool external)
{
    memset(&stage, 0, sizeof(stage));
    uint32_t workers = 1 + random_below(r, 3);
    if (!(external ? rig_open_external(&stage.rig, workers) : rig_open(&stage.rig, workers))) {
        return false;
    }
    pthread_mutex_init(&stage.lock, NULL);
    inbox_init(&stage.accepted_in, &stage.rig);
    stage.accepted_in.no_copies = true;
    stage.accepted_in.on_receive = on_receive;
    for (unsigned i = 0; i < SLOTS; i++) {
        pthread_rwlock_init(&stage.slots[i].lock, NULL);
    }
    return true;
}

/* A link that goes down takes its routes and neighbours with it: then the wire is made anew. */
static void disturb(struct random *r)
{
    const char *end = wire_end[random_below(r, 2)];
    switch (random_below(r, 4)) {
    case 0: link_set_mtu(end, random_one_in(r, 2) ? 1500 : 1280); return;
    case 1: link_down(end), usleep(100000), link_up(end); break;
    case 2: link_down(end); break;
    default: break;
    }
    wire_close();
    CHECK(wire_open());
}

/*
 * Lets the threads play. In some episodes the network does not stay as it is, towards the end: a datapath that has
 * lost its interfaces goes on with kernel sockets alone.
 */
static void watch(struct random *r, unsigned ms)
{
    bool unstable = random_one_in(r, 3);
    for (unsigned slept = 0; slept < ms; slept += 100) {
        usleep(100000);
        if (unstable && slept > ms / 2 && random_one_in(r, 5)) {
            disturb(r);
        }
    }
}

static void await_resolutions(bool external)
{
    struct timespec deadline = host_deadline(3 * HOST_DEADLINE_MS);
    while (atomic_load(&resolved) < atomic_load(&pending) && host_remaining_ms(&deadline) > 0) {
        if (external) {
            rig_poll(&stage.rig, 1);
        } else {
            usleep(1000);
        }
    }
    CHECK_EQ(atomic_load(&resolved), atomic_load(&pending));
}

static void tear_down(bool external)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        empty(&stage.slots[i]);
        pthread_rwlock_destroy(&stage.slots[i].lock);
    }
    for (CXPLAT_SOCKET *s; (s = accepted()) != NULL;) {
        CALL(CxPlatSocketDelete, s);
    }
    await_resolutions(external);
    inbox_seal(&stage.accepted_in);
    inbox_free(&stage.accepted_in);
    for (unsigned i = 0; i < KEPT; i++) {
        CALL(CxPlatRecvDataReturn, stage.kept[i]);
    }
    rig_close(&stage.rig);
    pthread_mutex_destroy(&stage.lock);
}

static void episode(struct random *r, unsigned ms)
{
    pthread_t threads[THREADS + 2];
    unsigned n = 0;
    bool external = random_one_in(r, 4);
    size_t live = host_memory_live();
    REQUIRE(CHECK(wire_open()));
    REQUIRE(set_up(r, external));
    atomic_store(&stop, false);
    while (n < THREADS) {
        REQUIRE(CHECK_EQ(pthread_create(&threads[n++], NULL, play, NULL), 0));
    }
    REQUIRE(CHECK_EQ(pthread_create(&threads[n++], NULL, strangers, NULL), 0));
    if (external) {
        REQUIRE(CHECK_EQ(pthread_create(&threads[n++], NULL, poll_all, NULL), 0));
    }
    watch(r, ms);
    atomic_store(&stop, true);
    while (n > 0) {
        pthread_join(threads[--n], NULL);
    }
    tear_down(external);
    CHECK(wire_close());
    if (!CHECK(host_memory_wait_live(live))) {
        host_memory_print();
    }
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != 0 ? strtoull(text, NULL, 10) : otherwise;
}

static void report(unsigned episodes)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < FUNCTION_COUNT; i++) {
        uint64_t n = atomic_load(&calls[i]);
        total += n;
        printf("%12llu %s\n", (unsigned long long)n, function_names[i]);
        CHECK(n > 0);
    }
    printf(
        "fuzz: episodes=%u seed=%llu datagrams=%llu raw=%llu mapped=%llu calls=%llu\n", episodes,
        (unsigned long long)atomic_load(&seed), (unsigned long long)atomic_load(&datagrams),
        (unsigned long long)atomic_load(&raw), (unsigned long long)atomic_load(&mapped),
        (unsigned long long)total);
}

TEST(any_order)
{
    uint64_t end = host_now_us() + 1000000 * number("MSQUICXDP_FUZZ_SECONDS", 5);
    atomic_store(&seed, number("MSQUICXDP_FUZZ_SEED", 1));
    struct random *r = mine();
    unsigned episodes = 0;
    host_set_pcp_receive(pcp_receive);
    do {
        episode(r, EPISODE_MS);
        episodes++;
    } while (host_now_us() < end && check_failures() == 0);
    host_set_pcp_receive(NULL);
    report(episodes);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {CASE(any_order)};
    check_warm_up = rig_warm_up;
    return check_run(argc, argv, cases, 1);
}
