/* SPDX-License-Identifier: MIT */
/* ours.c - opening and polling a datapath. */
#include "ours.h"

#include <sys/epoll.h>

#include "fail.h"
#include "host/pool.h"
#include "msquicxdp/msquicxdp.h"
#include "worker.h"

enum {
    CONTEXT_LENGTH = 160, /* about what MsQuic lays behind a CXPLAT_RECV_DATA */
    EVENTS = 16           /* that MsQuic's workers fetch at once */
};

static void must_succeed(QUIC_STATUS status, const char *what)
{
    char reason[256];
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

static void open_socket(struct ours *d, bool connected, void *context)
{
    QUIC_ADDR local = address(d->options->local, 0);
    QUIC_ADDR remote = address(d->options->remote, d->options->port);
    CXPLAT_UDP_CONFIG config = {
        .LocalAddress = &local,
        .RemoteAddress = connected ? &remote : NULL,
        .CallbackContext = context,
    };
    must_succeed(CxPlatSocketCreateUdp(d->datapath, &config, &d->socket), "CxPlatSocketCreateUdp");
}

/* The thread is pinned last: the runtime's own threads may run anywhere, as they do beside MsQuic. */
void ours_open(
    struct ours *d, const struct options *o, bool connected, ours_receive_fn *fn, void *context)
{
    CXPLAT_UDP_DATAPATH_CALLBACKS udp = {.Receive = fn, .Unreachable = unreachable};
    CXPLAT_DATAPATH_INIT_CONFIG config = {0};
    *d = (struct ours){.options = o, .pool = host_pool_create_external(1, NULL)};
    d->queue = *CxPlatWorkerPoolGetEventQ(d->pool, 0);
    must_succeed(
        CxPlatDataPathInitialize(CONTEXT_LENGTH, &udp, NULL, d->pool, &config, &d->datapath),
        "CxPlatDataPathInitialize");
    open_socket(d, connected, context);
    worker_pin(o);
}

void ours_close(struct ours *d)
{
    CxPlatSocketDelete(d->socket);
    CxPlatDataPathUninitialize(d->datapath);
    host_pool_delete(d->pool);
}

unsigned ours_port(const struct ours *d)
{
    QUIC_ADDR local;
    CxPlatSocketGetLocalAddress(d->socket, &local);
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

CXPLAT_ROUTE ours_route(const struct ours *d)
{
    CXPLAT_ROUTE route;
    memset(&route, 0, sizeof(route));
    CxPlatSocketGetLocalAddress(d->socket, &route.LocalAddress);
    CxPlatSocketGetRemoteAddress(d->socket, &route.RemoteAddress);
    must_succeed(CxPlatResolveRoute(d->socket, &route, 0, NULL, resolved), "CxPlatResolveRoute");
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
    now->lost = c.rx_dropped + c.tx_failed;
}
