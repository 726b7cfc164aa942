/* SPDX-License-Identifier: MIT */
/* kick_test.c - how often the kernel is told to send what AF_XDP queues have. */
#include <string.h>

#include "host/duo.h"
#include "host/link.h"
#include "host/wire.h"

/* Sends of a worker that has waited which do not share their kick: capi/kick.c. */
enum { EAGER = 4 };

/*
 * A context that sends from the client in so many turns of a worker, one right after the other. It is
 * linked when the datapath exists, as MsQuic's are, and unlinked after its last turn.
 */
struct sender {
    CXPLAT_EXECUTION_CONTEXT context;
    struct duo *d;
    CXPLAT_ROUTE route;
    unsigned turns;
    unsigned sends;                 /* in each turn */
    unsigned datagrams;             /* in each send */
    void (*last)(struct sender *s); /* what ends the last turn */
    unsigned turn;
    uint64_t kicks[8]; /* counted before each turn */
    struct gauge ended;
};

static uint64_t kicks_now(void)
{
    return counters_now().xdp_tx_kicks;
}

static BOOLEAN turn(void *context, CXPLAT_EXECUTION_STATE *state)
{
    struct sender *s = context;
    s->kicks[s->turn++] = kicks_now();
    for (unsigned i = 0; i < s->sends; i++) {
        send_batch(s->d->client, &s->route, s->datagrams, 100, i);
    }
    state->NoWorkCount = 0;
    if (s->turn < s->turns) {
        s->context.Ready = TRUE;
        return TRUE;
    }
    if (s->last != NULL) {
        s->last(s);
    }
    gauge_add(&s->ended, 1);
    return FALSE;
}

static void link_sender(struct sender *s, struct duo *d)
{
    s->d = d;
    s->route = duo_resolved(d);
    s->context = (CXPLAT_EXECUTION_CONTEXT){
        .Context = s, .Callback = turn, .NextTimeUs = UINT64_MAX, .Ready = TRUE};
    gauge_init(&s->ended);
    CxPlatWorkerPoolAddExecutionContext(d->rig.pool, &s->context, 0);
}

/* The kicks of a turn: they come before the next one, and before the worker waits. */
static uint64_t kicks_of(const struct sender *s, unsigned turn)
{
    return s->kicks[turn + 1] - s->kicks[turn];
}

/* Runs it on a worker that had nothing to do, until all has arrived. Nothing else happens meanwhile. */
static bool run_sender(struct sender *s, struct duo *d)
{
    if (!duo_open_raw(d, 2, wire_ip4[0]) || !CHECK(host_pool_wait_round(d->rig.pool, 0))) {
        return false;
    }
    link_sender(s, d);
    unsigned all = s->turns * s->sends * s->datagrams;
    bool ok = CHECK(gauge_wait(&s->ended, 1)) &&
              CHECK(inbox_wait(&d->server_in, INBOX_DATAGRAMS, all)) &&
              CHECK(host_pool_wait_round(d->rig.pool, 0));
    s->kicks[s->turns] = kicks_now();
    return ok;
}

static void close_sender(struct sender *s, struct duo *d)
{
    duo_close_raw(d);
    gauge_destroy(&s->ended);
}

TEST(a_busy_worker_kicks_once_a_turn)
{
    struct duo d;
    struct sender s = {.turns = 5, .sends = 20, .datagrams = 1};
    REQUIRE(run_sender(&s, &d));
    CHECK_EQ(kicks_of(&s, 2), 1);
    CHECK_EQ(kicks_of(&s, 3), 1);
    CHECK_EQ(kicks_of(&s, 4), 1); /* then it has gone to sleep, with nothing owed */
    CHECK_EQ(counters_now().xdp_tx_kicks - s.kicks[0], 2 * (EAGER + 1) + 3);
    close_sender(&s, &d);
}

/* The last turn of a sender takes so many kicks. */
static void last_turn_kicks(struct sender s, uint64_t kicks)
{
    struct duo d;
    REQUIRE(run_sender(&s, &d));
    CHECK_EQ(kicks_of(&s, s.turns - 1), kicks);
    close_sender(&s, &d);
}

/* The peer of one that has waited is not kept waiting for the rest. */
TEST(the_first_sends_after_a_wait_go_at_once)
{
    last_turn_kicks((struct sender){.turns = 1, .sends = EAGER, .datagrams = 1}, EAGER);
    last_turn_kicks((struct sender){.turns = 1, .sends = 20, .datagrams = 1}, EAGER + 1);
}

TEST(a_single_send_is_kicked_once)
{
    last_turn_kicks((struct sender){.turns = 1, .sends = 1, .datagrams = 1}, 1);
    last_turn_kicks((struct sender){.turns = 4, .sends = 1, .datagrams = 1}, 1);
}

/* In bulk the kernel begins while the rest is made. The third of three that make 48 pays at the end. */
TEST(many_datagrams_do_not_wait)
{
    last_turn_kicks((struct sender){.turns = 4, .sends = 3, .datagrams = 16}, 2);
    last_turn_kicks((struct sender){.turns = 4, .sends = 1, .datagrams = 40}, 1);
}

TEST(other_threads_kick_at_once)
{
    struct duo d;
    REQUIRE(duo_open_raw(&d, 1, wire_ip4[0]));
    CXPLAT_ROUTE route = duo_resolved(&d);
    uint64_t before = kicks_now();
    for (unsigned i = 1; i <= 5; i++) {
        CHECK(send_pattern(d.client, &route, 100, i));
        CHECK_EQ(kicks_now() - before, i);
    }
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 5));
    duo_close_raw(&d);
}

enum { ANSWERS = 10 };

static bool answer(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    (void)in;
    CXPLAT_ROUTE back = {0};
    QuicCopyRouteInfo(&back, chain->Route);
    back.State = RouteResolved;
    for (unsigned i = 0; i < ANSWERS; i++) {
        send_pattern(socket, &back, 100, i);
    }
    return false;
}

TEST(up_calls_share_the_kick_of_their_event)
{
    struct duo d;
    REQUIRE(duo_open_raw(&d, 1, wire_ip4[0]));
    CHECK(host_pool_wait_round(d.rig.pool, 0));
    d.server_in.on_receive = answer;
    CXPLAT_ROUTE route = duo_resolved(&d);
    uint64_t before = kicks_now();
    CHECK(send_pattern(d.client, &route, 100, 1));
    CHECK(inbox_wait(&d.client_in, INBOX_DATAGRAMS, ANSWERS));
    CHECK_EQ(kicks_now() - before, 1 + EAGER + 1); /* the first is the question's */
    duo_close_raw(&d);
}

/* ---- what a debt outlives ---- */

static void take_wire_away(struct sender *s)
{
    (void)s;
    CHECK(wire_close());
}

TEST(the_interface_goes_before_the_kick)
{
    struct duo d;
    struct sender s = {.turns = 4, .sends = 5, .datagrams = 1, .last = take_wire_away};
    REQUIRE(duo_open_raw(&d, 1, wire_ip4[0]));
    link_sender(&s, &d);
    CHECK(gauge_wait(&s.ended, 1));
    CHECK(host_pool_wait_round(d.rig.pool, 0));
    duo_close(&d);
    gauge_destroy(&s.ended);
}

static void take_datapath_away(struct sender *s)
{
    rig_delete(s->d->client, &s->d->client_in);
    rig_delete(s->d->server, &s->d->server_in);
    s->d->client = s->d->server = NULL;
    CxPlatDataPathUninitialize(s->d->rig.datapath);
    s->d->rig.datapath = NULL;
}

TEST(the_datapath_goes_before_the_kick)
{
    struct duo d;
    struct sender s = {.turns = 4, .sends = 5, .datagrams = 1, .last = take_datapath_away};
    REQUIRE(duo_open_raw(&d, 2, wire_ip4[0]));
    CHECK(host_pool_wait_round(d.rig.pool, 0));
    link_sender(&s, &d);
    CHECK(gauge_wait(&s.ended, 1));
    close_sender(&s, &d);
}

/* ---- pools ---- */

/* Uninitialize waits for no worker. The pool does, until the workers have let go. */
TEST(a_worker_that_may_owe_holds_its_pool)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 2));
    CHECK(host_pool_wait_round(rig.pool, 0) && host_pool_wait_round(rig.pool, 1));
    CHECK_EQ(host_pool_refs_of(rig.pool, CXPLAT_WORKER_POOL_REF_RAW), 2);
    CxPlatDataPathUninitialize(rig.datapath);
    rig.datapath = NULL;
    CHECK(host_pool_wait_round(rig.pool, 0) && host_pool_wait_round(rig.pool, 1));
    CHECK_EQ(host_pool_refs_of(rig.pool, CXPLAT_WORKER_POOL_REF_RAW), 0);
    rig_close(&rig);
}

TEST(datapaths_that_come_and_go)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(2, NULL);
    for (unsigned i = 0; i < 200; i++) {
        CXPLAT_DATAPATH *datapath = NULL;
        REQUIRE(
            CxPlatDataPathInitialize(0, &inbox_udp, NULL, pool, NULL, &datapath) ==
            QUIC_STATUS_SUCCESS);
        if (i % 2 == 0) {
            CHECK(host_pool_wait_round(pool, 0));
        }
        CxPlatDataPathUninitialize(datapath);
    }
    host_pool_delete(pool);
}

/* An application that polls may not come back, and may send whenever it likes. */
TEST(who_polls_kicks_at_once)
{
    struct duo d;
    struct sender s = {.turns = 4, .sends = 5, .datagrams = 1};
    REQUIRE(duo_open_raw_external(&d, wire_ip4[0]));
    CHECK_EQ(host_pool_refs_of(d.rig.pool, CXPLAT_WORKER_POOL_REF_RAW), 0);
    link_sender(&s, &d);
    uint64_t before = kicks_now();
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 20));
    CHECK_EQ(kicks_now() - before, 20);
    CHECK(send_pattern(d.client, &s.route, 100, 1)); /* between two polls */
    CHECK_EQ(kicks_now() - before, 21);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 21));
    close_sender(&s, &d);
}

CHECK_MAIN(
    CASE(a_busy_worker_kicks_once_a_turn),
    CASE(the_first_sends_after_a_wait_go_at_once),
    CASE(a_single_send_is_kicked_once),
    CASE(many_datagrams_do_not_wait),
    CASE(other_threads_kick_at_once),
    CASE(up_calls_share_the_kick_of_their_event),
    CASE(the_interface_goes_before_the_kick),
    CASE(the_datapath_goes_before_the_kick),
    CASE(a_worker_that_may_owe_holds_its_pool),
    CASE(datapaths_that_come_and_go),
    CASE(who_polls_kicks_at_once))
