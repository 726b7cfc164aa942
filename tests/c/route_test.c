/* SPDX-License-Identifier: MIT */
/* route_test.c - routes over kernel sockets: always ready, and never trusted. */
#include <stddef.h>
#include <string.h>

#include "host/duo.h"
#include "host/pattern.h"

enum { COPIED = offsetof(CXPLAT_ROUTE, State) };

static const uint8_t mac[6] = {1, 2, 3, 4, 5, 6};

/* ---- resolving ---- */

static unsigned callbacks;

static void count_callback(
    void *Context, const uint8_t *PhysicalAddress, uint8_t PathId, BOOLEAN Succeeded)
{
    (void)Context, (void)PhysicalAddress, (void)PathId, (void)Succeeded;
    callbacks++;
}

/* From any state a normal route just becomes resolved, at once and without a callback. */
TEST(a_normal_route_is_resolved_at_once)
{
    static const CXPLAT_ROUTE_STATE states[] = {
        RouteUnresolved, RouteResolving, RouteSuspected, RouteResolved};
    struct duo d;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned type = 0; type <= CXPLAT_DATAPATH_TYPE_NORMAL; type++) {
            CXPLAT_ROUTE route = d.route;
            route.State = states[i];
            route.DatapathType = (uint16_t)(type & 0x7fff);
            callbacks = 0;
            CHECK_EQ(
                CxPlatResolveRoute(d.client, &route, 3, &d, count_callback), QUIC_STATUS_SUCCESS);
            CHECK_EQ(route.State, RouteResolved);
            CHECK_EQ(callbacks, 0);
            CHECK_ADDR(&route.RemoteAddress, &d.address);
        }
    }
    duo_close(&d);
}

/* When a path moves to a socket without AF_XDP, core leaves the type of its route as it was. */
TEST(a_raw_route_on_a_kernel_socket_becomes_normal)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_ROUTE route = d.route;
    route.DatapathType = CXPLAT_DATAPATH_TYPE_RAW;
    route.State = RouteUnresolved;
    route.Queue = NULL;
    CHECK_EQ(CxPlatResolveRoute(d.client, &route, 0, NULL, count_callback), QUIC_STATUS_SUCCESS);
    CHECK_EQ(route.State, RouteResolved);
    CHECK(route.DatapathType != CXPLAT_DATAPATH_TYPE_RAW);
    send_pattern(d.client, &route, 100, 1);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    duo_close(&d);
}

/* A connected socket says whether its routes use QTIP. */
TEST(qtip_is_what_the_socket_has)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_ROUTE route = d.route;
    route.UseQTIP = 1;
    route.State = RouteUnresolved;
    CHECK_EQ(CxPlatResolveRoute(d.client, &route, 0, NULL, count_callback), QUIC_STATUS_SUCCESS);
    CHECK_EQ(route.UseQTIP, 0);
    duo_close(&d);
}

TEST(mtu_of_a_route)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CXPLAT_ROUTE route = d.route;
    CHECK_EQ(CxPlatSocketGetLocalMtu(d.client, &route), CXPLAT_MAX_MTU);
    route.UseQTIP = 1;
    CHECK_EQ(CxPlatSocketGetLocalMtu(d.client, &route), CXPLAT_MAX_MTU - 12);
    duo_close(&d);
}

TEST(completion_stores_the_mac_once)
{
    static const uint8_t other[6] = {9, 9, 9, 9, 9, 9};
    CXPLAT_ROUTE route;
    memset(&route, 0, sizeof(route));
    route.DatapathType = CXPLAT_DATAPATH_TYPE_RAW;
    route.State = RouteResolving;
    CxPlatResolveRouteComplete(NULL, &route, mac, 0);
    CHECK_EQ(route.State, RouteResolved);
    CHECK(memcmp(route.NextHopLinkLayerAddress, mac, 6) == 0);
    CxPlatResolveRouteComplete(NULL, &route, other, 0); /* resolved already: stays as it is */
    CHECK(memcmp(route.NextHopLinkLayerAddress, mac, 6) == 0);
    route.State = RouteSuspected;
    CxPlatResolveRouteComplete(NULL, &route, other, 0);
    CHECK(memcmp(route.NextHopLinkLayerAddress, other, 6) == 0);
    CHECK_EQ(route.State, RouteResolved);
}

/* ---- updating and copying ---- */

static CXPLAT_ROUTE sample(CXPLAT_DATAPATH_TYPE type)
{
    CXPLAT_ROUTE route;
    memset(&route, 0x21, sizeof(route));
    route.DatapathType = (uint16_t)(type & 0x7fff);
    route.State = RouteResolved;
    route.TcpState = (CXPLAT_RAW_TCP_STATE){.Syncd = FALSE, .AckNumber = 700, .SequenceNumber = 90};
    return route;
}

TEST(an_update_learns_from_the_first_raw_packet)
{
    CXPLAT_ROUTE from = sample(CXPLAT_DATAPATH_TYPE_RAW), to;
    memset(&to, 0, sizeof(to));
    CxPlatUpdateRoute(&to, &from);
    CHECK_EQ(to.TcpState.Syncd, TRUE);
    CHECK_EQ(to.TcpState.AckNumber, 89);
    CHECK_EQ(to.TcpState.SequenceNumber, 701);
    from.TcpState.SequenceNumber = 5000;
    CxPlatUpdateRoute(&to, &from); /* in step: no effect */
    CHECK_EQ(to.TcpState.AckNumber, 89);
    CHECK_EQ(to.TcpState.SequenceNumber, 701);
}

TEST(an_update_wraps_around)
{
    CXPLAT_ROUTE from = sample(CXPLAT_DATAPATH_TYPE_RAW), to;
    memset(&to, 0, sizeof(to));
    from.TcpState.SequenceNumber = 0;
    from.TcpState.AckNumber = UINT32_MAX;
    CxPlatUpdateRoute(&to, &from);
    CHECK_EQ(to.TcpState.AckNumber, UINT32_MAX);
    CHECK_EQ(to.TcpState.SequenceNumber, 0);
}

TEST(an_update_from_a_normal_route_does_nothing)
{
    CXPLAT_ROUTE from = sample(CXPLAT_DATAPATH_TYPE_NORMAL), to, before;
    memset(&to, 0, sizeof(to));
    before = to;
    CxPlatUpdateRoute(&to, &from);
    CHECK(memcmp(&to, &before, sizeof(to)) == 0);
}

TEST(a_normal_route_is_copied_whole)
{
    CXPLAT_ROUTE from = sample(CXPLAT_DATAPATH_TYPE_NORMAL), to;
    memset(&to, 0, sizeof(to));
    QuicCopyRouteInfo(&to, &from);
    CHECK(memcmp(&to, &from, sizeof(to)) == 0);
}

TEST(of_a_raw_route_the_state_is_not_copied)
{
    CXPLAT_ROUTE from = sample(CXPLAT_DATAPATH_TYPE_RAW), to;
    memset(&to, 0, sizeof(to));
    to.State = RouteUnresolved;
    QuicCopyRouteInfo(&to, &from);
    CHECK(memcmp(&to, &from, COPIED) == 0);
    CHECK_EQ(to.State, RouteUnresolved);
    CHECK_EQ(to.TcpState.Syncd, TRUE);
    CHECK_EQ(to.TcpState.AckNumber, 89);
    CHECK_EQ(to.TcpState.SequenceNumber, 701);
}

/* ---- queues ---- */

/* Sends along the route whatever its queue is; it must arrive, and the queue be put right. */
static void try_queue(struct duo *d, void *queue, CXPLAT_QUEUE *right)
{
    static uint32_t seed;
    CXPLAT_ROUTE route = d->route;
    route.Queue = queue;
    uint64_t before = inbox_count(&d->server_in, INBOX_DATAGRAMS);
    CHECK(send_pattern(d->client, &route, 100, ++seed));
    CHECK(inbox_wait(&d->server_in, INBOX_DATAGRAMS, before + 1));
    CHECK(route.Queue == right);
    CHECK_EQ(route.DatapathType, CXPLAT_DATAPATH_TYPE_NORMAL);
}

static CXPLAT_QUEUE *queue_of(CXPLAT_SOCKET *socket, CXPLAT_ROUTE route)
{
    QUIC_BUFFER *buffer;
    route.Queue = NULL;
    CXPLAT_SEND_DATA *send = send_open(socket, &route, 0, 1, &buffer);
    CxPlatSendDataFree(send);
    CHECK(route.Queue != NULL);
    return route.Queue;
}

TEST(an_empty_queue_is_filled_in)
{
    struct duo d;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    CXPLAT_QUEUE *right = queue_of(d.client, d.route);
    try_queue(&d, NULL, right);
    try_queue(&d, right, right);
    duo_close(&d);
}

TEST(a_foreign_queue_is_replaced)
{
    struct duo d, other;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    REQUIRE(duo_open(&other, 2, "127.0.0.1"));
    CXPLAT_QUEUE *right = queue_of(d.client, d.route);
    CHECK(duo_exchange(&other, 10, 1) != NULL);
    const struct mail *m = inbox_mail(&other.server_in, 0);
    CHECK(m != NULL && m->queue != right);
    try_queue(&d, queue_of(other.client, other.route), right);
    try_queue(&d, queue_of(d.server, d.route), right);
    try_queue(&d, m != NULL ? m->queue : NULL, right);
    duo_close(&other);
    duo_close(&d);
}

/* Of sockets that are gone, while others have been made in their place. */
TEST(a_stale_queue_is_replaced)
{
    struct duo d;
    CXPLAT_QUEUE *stale[50];
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    CXPLAT_QUEUE *right = queue_of(d.client, d.route);
    for (int i = 0; i < 50; i++) {
        struct inbox in;
        inbox_init(&in, &d.rig);
        CXPLAT_SOCKET *gone = rig_udp(&d.rig, &in, NULL, &d.address);
        CXPLAT_ROUTE route = route_of(gone);
        stale[i] = queue_of(gone, route);
        rig_delete(gone, &in);
        inbox_free(&in);
    }
    for (int i = 0; i < 50; i++) {
        try_queue(&d, stale[i], right);
    }
    duo_close(&d);
}

TEST(a_garbage_queue_is_replaced)
{
    struct duo d;
    static int somewhere;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    CXPLAT_QUEUE *right = queue_of(d.client, d.route);
    void *const garbage[] = {
        (void *)1,
        (void *)-1,
        (void *)(uintptr_t)0x5a5a5a5a5a5a5a5a,
        &somewhere,
        &d,
        d.client,
        d.rig.datapath,
        (void *)(uintptr_t)0xfff};
    for (unsigned i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        try_queue(&d, garbage[i], right);
    }
    uint64_t random = 88172645463325252u;
    for (unsigned i = 0; i < 2000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uintptr_t value = (uintptr_t)(i % 2 == 0 ? random : random % 4096);
        if ((void *)value != right) {
            try_queue(&d, (void *)value, right);
        }
    }
    duo_close(&d);
}

/* A server answers by the socket that the question came in by. */
TEST(an_answer_takes_the_queue_of_the_question)
{
    struct duo d;
    REQUIRE(duo_open(&d, 4, "127.0.0.1"));
    const struct mail *m = duo_exchange(&d, 100, 1);
    REQUIRE(m != NULL);
    CXPLAT_ROUTE back = route_to(d.server, &m->from);
    back.LocalAddress = m->to;
    back.Queue = m->queue;
    send_pattern(d.server, &back, 50, 2);
    CHECK(back.Queue == m->queue);
    CHECK(inbox_wait(&d.client_in, INBOX_DATAGRAMS, 1));
    duo_close(&d);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(a_normal_route_is_resolved_at_once),
    CASE(a_raw_route_on_a_kernel_socket_becomes_normal),
    CASE(qtip_is_what_the_socket_has),
    CASE(mtu_of_a_route),
    CASE(completion_stores_the_mac_once),
    CASE(an_update_learns_from_the_first_raw_packet),
    CASE(an_update_wraps_around),
    CASE(an_update_from_a_normal_route_does_nothing),
    CASE(a_normal_route_is_copied_whole),
    CASE(of_a_raw_route_the_state_is_not_copied),
    CASE(an_empty_queue_is_filled_in),
    CASE(a_foreign_queue_is_replaced),
    CASE(a_stale_queue_is_replaced),
    CASE(a_garbage_queue_is_replaced),
    CASE(an_answer_takes_the_queue_of_the_question))
