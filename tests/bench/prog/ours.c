/* SPDX-License-Identifier: MIT */
/* ours.c - opening and polling a datapath. */
#include "ours.h"

#include <sys/epoll.h>

#include "fail.h"
#include "host/heap.h"
#include "host/pool.h"
#include "msquicxdp/msquicxdp.h"
#include "worker.h"

enum {
    CONTEXT_LENGTH = 160, /* about what MsQuic lays behind a CXPLAT_RECV_DATA */
    EVENTS = 16           /* that MsQuic's workers fetch at once */
};

static void must_succeed(QUIC_STATUS status, const char *what)
{
    char reason[1024];
    if (QUIC_FAILED(status)) {
        msquicxdp_last_reason(reason, sizeof(reason));
        fail("%s: %s: %s", what, strerror((int)status), reason);
    }
}

/* Only at the end of a run: the peer has gone first. */
static void unreachable(CXPLAT_SOCKET *socket, void *context, const QUIC_ADDR *remote)
{
    (void)socket, (void)context, (void)remote;
}

static QUIC_ADDR address(struct in_addr ip, unsigned port)
{
    QUIC_ADDR a;
    memset(&a, 0, sizeof(a));
    a.Ipv4.sin_family = AF_INET;
    a.Ipv4.sin_addr = ip;
    a.Ipv4.sin_port = htons((uint16_t)port);
    return a;
}

/* Only a listener on all interfaces can share its port. */
static QUIC_ADDR anywhere(unsigned port)
{
    QUIC_ADDR a;
    memset(&a, 0, sizeof(a));
    a.Ipv6.sin6_family = AF_INET6;
    a.Ipv6.sin6_port = htons((uint16_t)port);
    return a;
}

/* Members of one queue share a port by identifiers of one byte, at the start of connection IDs. */
static void set_identifier(CXPLAT_UDP_CONFIG *config, unsigned identifier)
{
    config->CibirIdLength = 1;
    config->CibirId[0] = (uint8_t)identifier;
}

static void open_socket(struct ours *d, unsigned i, bool connected, void *context)
{
    const struct options *o = d->options;
    bool shared = o->identifier != 0 && !connected;
    QUIC_ADDR local = shared ? anywhere(i == 0 ? o->port : ours_port(d)) : address(o->local, 0);
    QUIC_ADDR remote = address(o->remote, o->port);
    CXPLAT_UDP_CONFIG config = {
        .LocalAddress = &local,
        .RemoteAddress = connected ? &remote : NULL,
        .Flags = o->interface != 0 ? CXPLAT_SOCKET_FLAG_XDP : CXPLAT_SOCKET_FLAG_NONE,
        .CallbackContext = context,
    };
    if (shared) {
        set_identifier(&config, o->identifier - 1 + i);
    }
    must_succeed(
        CxPlatSocketCreateUdp(d->datapath[i], &config, &d->socket[i]), "CxPlatSocketCreateUdp");
    if (o->interface != 0 && !CxPlatSocketRawSocketAvailable(d->socket[i])) {
        fail("the socket has no AF_XDP");
    }
}

/* The thread is pinned last: the runtime's own threads may run anywhere, as they do beside MsQuic. */
void ours_open(
    struct ours *d, const struct options *o, bool connected, ours_receive_fn *fn, void *context)
{
    CXPLAT_UDP_DATAPATH_CALLBACKS udp = {.Receive = fn, .Unreachable = unreachable};
    CXPLAT_DATAPATH_INIT_CONFIG config = {0};
    *d = (struct ours){.options = o, .pool = host_pool_create_external(1, NULL)};
    d->queue = *CxPlatWorkerPoolGetEventQ(d->pool, 0);
    for (unsigned i = 0; i < o->datapaths; i++) {
        must_succeed(
            CxPlatDataPathInitialize(CONTEXT_LENGTH, &udp, NULL, d->pool, &config, &d->datapath[i]),
            "CxPlatDataPathInitialize");
        open_socket(d, i, connected, context);
    }
    worker_pin(o);
}

void ours_close(struct ours *d)
{
    for (unsigned i = 0; i < d->options->datapaths; i++) {
        CxPlatSocketDelete(d->socket[i]);
        CxPlatDataPathUninitialize(d->datapath[i]);
    }
    host_pool_delete(d->pool);
}

unsigned ours_port(const struct ours *d)
{
    QUIC_ADDR local;
    CxPlatSocketGetLocalAddress(d->socket[0], &local);
    return ntohs(local.Ipv4.sin_port);
}

void ours_poll(const struct ours *d, int timeout_ms)
{
    CXPLAT_CQE events[EVENTS];
    int n = epoll_wait(d->queue, events, EVENTS, timeout_ms);
    for (int i = 0; i < n; i++) {
        CXPLAT_SQE *sqe = events[i].data.ptr;
        sqe->Completion(&events[i]);
    }
}

static void resolved(void *context, const uint8_t *mac, uint8_t path, BOOLEAN succeeded)
{
    (void)context, (void)mac, (void)path, (void)succeeded;
}

CXPLAT_ROUTE ours_route(const struct ours *d, unsigned i)
{
    CXPLAT_ROUTE route;
    memset(&route, 0, sizeof(route));
    CxPlatSocketGetLocalAddress(d->socket[i], &route.LocalAddress);
    CxPlatSocketGetRemoteAddress(d->socket[i], &route.RemoteAddress);
    must_succeed(CxPlatResolveRoute(d->socket[i], &route, 0, NULL, resolved), "CxPlatResolveRoute");
    if (d->options->interface != 0 && route.DatapathType != CXPLAT_DATAPATH_TYPE_RAW) {
        fail("the route does not lead by AF_XDP");
    }
    return route;
}

void ours_refresh(struct counts *now)
{
    struct msquicxdp_counters c = {.size = sizeof(c)};
    if (msquicxdp_get_counters(&c) != 0) {
        fail("msquicxdp_get_counters failed");
    }
    now->rx_calls = c.rx_turns;
    now->tx_calls = c.tx_batches;
    now->allocations = heap_allocations();
    now->lost = c.rx_dropped + c.tx_failed;
}
