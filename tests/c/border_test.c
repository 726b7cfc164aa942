/* SPDX-License-Identifier: MIT */
/*
 * border_test.c - what a datagram costs at the border between C and Go: how often Go is entered,
 * and what is allocated. Bounds are on counts, never on time, so they hold on any machine.
 */
#include <string.h>

#include "host/duo.h"
#include "host/heap.h"
#include "host/memory.h"
#include "host/pattern.h"

enum { WARM = 300, ROUNDS = 2000, SIZE = 1200 };

struct cost {
    struct msquicxdp_counters counters;
    uint64_t heap;
    uint64_t made;
};

static struct cost cost_now(void)
{
    return (struct cost){counters_now(), heap_allocations(), host_memory_made()};
}

/* The client sends `rounds` batches, each when the one before has arrived. */
static void go_round(struct duo *d, unsigned rounds, unsigned batch)
{
    uint64_t before = inbox_count(&d->server_in, INBOX_DATAGRAMS);
    for (unsigned i = 1; i <= rounds; i++) {
        CHECK(send_batch(d->client, &d->route, batch, SIZE, 0));
        if (!CHECK(inbox_wait(&d->server_in, INBOX_DATAGRAMS, before + (uint64_t)i * batch))) {
            return;
        }
    }
}

/* Costs of ROUNDS batches, in a state that has settled. */
static void measure(struct duo *d, unsigned batch, struct cost *before, struct cost *after)
{
    d->server_in.no_copies = true;
    go_round(d, WARM, batch);
    *before = cost_now();
    go_round(d, ROUNDS, batch);
    *after = cost_now();
}

#define DIFFERENCE(member) (after.counters.member - before.counters.member)

static void check_nothing_allocated(const struct cost *before, const struct cost *after)
{
    CHECK_EQ(after->counters.block_allocs - before->counters.block_allocs, 0);
    CHECK_EQ(after->made - before->made, 0);
    if (heap_counts()) { /* now and then the Go runtime starts a thread */
        CHECK_LE(after->heap - before->heap, ROUNDS / 100);
    }
}

/* ---- UDP ---- */

/* One datagram at a time: one entry to send it, and about one to receive it. */
TEST(single_datagrams)
{
    struct duo d;
    struct cost before, after;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    measure(&d, 1, &before, &after);
    CHECK_EQ(DIFFERENCE(tx_batches), ROUNDS);
    CHECK_EQ(DIFFERENCE(tx_datagrams), ROUNDS);
    CHECK_EQ(DIFFERENCE(tx_bytes), (uint64_t)ROUNDS * SIZE);
    CHECK_EQ(DIFFERENCE(rx_datagrams), ROUNDS);
    CHECK_EQ(DIFFERENCE(rx_bytes), (uint64_t)ROUNDS * SIZE);
    CHECK_LE(DIFFERENCE(rx_turns), ROUNDS + ROUNDS / 10);
    CHECK_EQ(DIFFERENCE(tx_queued), 0);
    CHECK_EQ(DIFFERENCE(rx_dropped), 0);
    check_nothing_allocated(&before, &after);
    duo_close(&d);
}

/* Thirty-two at a time: one entry to send all of them, and at most two to receive them. */
TEST(batches_of_32)
{
    struct duo d;
    struct cost before, after;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    measure(&d, 32, &before, &after);
    CHECK_EQ(DIFFERENCE(tx_batches), ROUNDS);
    CHECK_EQ(DIFFERENCE(tx_datagrams), ROUNDS * 32);
    CHECK_EQ(DIFFERENCE(rx_datagrams), ROUNDS * 32);
    CHECK_LE(DIFFERENCE(rx_turns), 2 * ROUNDS + ROUNDS / 10);
    check_nothing_allocated(&before, &after);
    duo_close(&d);
}

/* A burst of single datagrams, read together: the more there are, the fewer entries each costs. */
TEST(bursts_are_received_together)
{
    enum { BURST = 64 };
    struct duo d;
    REQUIRE(duo_open_external(&d, "127.0.0.1"));
    d.server_in.no_copies = true;
    for (unsigned round = 1; round <= 20; round++) {
        uint64_t turns = counters_now().rx_turns;
        for (unsigned i = 0; i < BURST; i++) {
            send_pattern(d.client, &d.route, 200, i);
        }
        CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, (uint64_t)round * BURST));
        if (round > 2) {
            CHECK_LE(counters_now().rx_turns - turns, BURST / 4);
        }
    }
    duo_close(&d);
}

/* What core does per datagram without a system call must not enter Go, or allocate, at all. */
TEST(questions_cost_nothing)
{
    struct duo d;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    struct cost before = cost_now();
    for (unsigned i = 0; i < 10000; i++) {
        QUIC_BUFFER *buffer;
        QUIC_ADDR local = socket_local(d.client), remote = socket_remote(d.client);
        CHECK(addr_port(&local) != 0 && addr_port(&remote) != 0);
        CHECK(CxPlatSocketGetLocalMtu(d.client, &d.route) != 0);
        CxPlatSocketRawSocketAvailable(d.client);
        CxPlatSocketGetQtipEnabled(d.client);
        CXPLAT_SEND_DATA *send = send_open(d.client, &d.route, SIZE, SIZE, &buffer);
        CxPlatDataPathIsPaddingPreferred(d.rig.datapath, send);
        CxPlatSendDataIsFull(send);
        CxPlatSendDataFree(send);
        if (i == 10) {
            before = cost_now();
        }
    }
    struct cost after = cost_now();
    CHECK_EQ(DIFFERENCE(tx_batches), 0);
    CHECK_EQ(DIFFERENCE(rx_turns), 0);
    check_nothing_allocated(&before, &after);
    duo_close(&d);
}

/* A worker without events rests: it is not entered, and does not go round. */
TEST(rest_costs_nothing)
{
    struct duo d;
    REQUIRE(duo_open_external(&d, "127.0.0.1"));
    CHECK(duo_exchange(&d, 100, 1) != NULL);
    while (host_pool_poll(d.rig.pool, 0, 0) != 0) {
    }
    struct cost before = cost_now();
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(host_pool_poll(d.rig.pool, 0, 0), 0);
    }
    struct cost after = cost_now();
    CHECK_EQ(DIFFERENCE(rx_turns), 0);
    check_nothing_allocated(&before, &after);
    duo_close(&d);
}

/* ---- TCP ---- */

TEST(streams)
{
    struct duo d;
    REQUIRE(duo_open_tcp(&d, 1, "127.0.0.1"));
    d.accepted_in.no_copies = true;
    struct cost before = cost_now();
    uint64_t bytes = 0;
    for (unsigned i = 1; i <= WARM + ROUNDS; i++) {
        CHECK(send_pattern(d.client, &d.route, 0x4000, 1));
        bytes += 0x4000;
        CHECK(inbox_wait(&d.accepted_in, INBOX_BYTES, bytes));
        CHECK(inbox_wait(&d.client_in, INBOX_COMPLETED, i));
        if (i == WARM) {
            before = cost_now();
        }
    }
    struct cost after = cost_now();
    CHECK_EQ(DIFFERENCE(tx_batches), ROUNDS);
    CHECK_LE(DIFFERENCE(rx_turns), 3 * ROUNDS);
    check_nothing_allocated(&before, &after);
    duo_close(&d);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(single_datagrams),
    CASE(batches_of_32),
    CASE(bursts_are_received_together),
    CASE(questions_cost_nothing),
    CASE(rest_costs_nothing),
    CASE(streams))
