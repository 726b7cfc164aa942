/* SPDX-License-Identifier: MIT */
/* traffic.c - a ball and two walls. */
#include "traffic.h"

#include "guest.h"
#include "host/pattern.h"

enum { UNDER_WAY = 8, LENGTH = 1200, SEED = 7 };

static void check_payload(const CXPLAT_RECV_DATA *chain)
{
    for (const CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        CHECK_EQ(data->BufferLength, LENGTH);
        CHECK(pattern_holds(data->Buffer, LENGTH, SEED));
    }
}

/* Answers each datagram with one of the same size, over the route that it came by. */
static uint64_t answer(struct traffic *t, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    uint64_t n = 0;
    check_payload(chain);
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        if (!atomic_load(&t->quiet)) {
            send_pattern(socket, data->Route, LENGTH, SEED);
        }
        n++;
    }
    CxPlatRecvDataReturn(chain);
    return n;
}

static bool at_server(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    answer(in->user, socket, chain);
    return true;
}

static bool at_client(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    struct traffic *t = in->user;
    if (t->on_worker != NULL) {
        t->on_worker(t->on_worker_context);
    }
    gauge_add(&t->rounds, answer(t, socket, chain));
    return true;
}

static void prepare(struct inbox *in, struct traffic *t)
{
    inbox_init(in, &t->rig);
    in->user = t;
    in->on_receive = in == &t->client_in ? at_client : at_server;
}

void traffic_start_on(struct traffic *t)
{
    gauge_init(&t->rounds);
    atomic_store(&t->quiet, false);
    prepare(&t->server_in, t);
    prepare(&t->client_in, t);
    QUIC_ADDR any = addr("127.0.0.1", 0);
    t->server = rig_udp(&t->rig, &t->server_in, &any, NULL);
    QUIC_ADDR remote = socket_local(t->server);
    t->client = rig_udp(&t->rig, &t->client_in, NULL, &remote);
    CXPLAT_ROUTE route = route_of(t->client);
    for (int i = 0; i < UNDER_WAY; i++) {
        send_pattern(t->client, &route, LENGTH, SEED);
    }
}

void traffic_start(struct traffic *t, uint32_t workers)
{
    rig_open(&t->rig, workers);
    traffic_start_on(t);
}

void traffic_more(struct traffic *t, uint64_t rounds)
{
    CHECK(gauge_wait(&t->rounds, gauge_read(&t->rounds) + rounds));
}

void traffic_stop_sockets(struct traffic *t)
{
    atomic_store(&t->quiet, true);
    rig_delete(t->client, &t->client_in);
    rig_delete(t->server, &t->server_in);
    inbox_free(&t->client_in);
    inbox_free(&t->server_in);
    gauge_destroy(&t->rounds);
}

void traffic_stop(struct traffic *t)
{
    traffic_stop_sockets(t);
    rig_close(&t->rig);
}
