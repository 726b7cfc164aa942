/* SPDX-License-Identifier: MIT */
/* ownership_test.c - received data: core's as long as it likes, returned in any way it likes. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/memory.h"
#include "host/pattern.h"
#include "host/peer.h"

enum { SIZE = 800, MAX_KEPT = 4096 };

/* Takes a chain apart into a list of elements. */
struct heap_of_data {
    CXPLAT_RECV_DATA *item[MAX_KEPT];
    unsigned count;
};

static void take_apart(struct heap_of_data *h, CXPLAT_RECV_DATA *chain)
{
    while (chain != NULL) {
        CXPLAT_RECV_DATA *next = chain->Next;
        chain->Next = NULL;
        if (CHECK(h->count < MAX_KEPT)) {
            h->item[h->count++] = chain;
        }
        chain = next;
    }
}

/* The same elements every time, in another order. */
static void shuffle(struct heap_of_data *h)
{
    unsigned random = 12345;
    for (unsigned i = h->count; i > 1; i--) {
        random = random * 1103515245 + 12345;
        unsigned k = random / 65536 % i;
        CXPLAT_RECV_DATA *t = h->item[i - 1];
        h->item[i - 1] = h->item[k];
        h->item[k] = t;
    }
}

static CXPLAT_RECV_DATA *chain_of(struct heap_of_data *h, unsigned from, unsigned to)
{
    for (unsigned i = from; i + 1 < to; i++) {
        h->item[i]->Next = h->item[i + 1];
    }
    h->item[to - 1]->Next = NULL;
    return h->item[from];
}

/* A duo whose server keeps what it gets. */
static bool open_keeping(struct duo *d, uint32_t workers)
{
    if (!duo_open(d, workers, "127.0.0.1")) {
        return false;
    }
    d->server_in.keep = true;
    return true;
}

/* `batches` sends of ten datagrams each, kept, with the numbers 0, 1, ... */
static void fill_up(struct duo *d, unsigned batches)
{
    for (unsigned i = 0; i < batches; i++) {
        CHECK(send_batch(d->client, &d->route, 10, SIZE, i * 10));
        CHECK(inbox_wait(&d->server_in, INBOX_DATAGRAMS, (i + 1) * 10));
    }
}

static unsigned count_intact(CXPLAT_RECV_DATA *chain, unsigned numbers)
{
    unsigned intact = 0;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        for (uint32_t i = 0; i < numbers; i++) {
            if (pattern_holds(data->Buffer, data->BufferLength, i)) {
                intact++;
                break;
            }
        }
    }
    return intact;
}

/* ---- for as long as core likes ---- */

TEST(kept_data_stays_as_it_is)
{
    struct duo d;
    REQUIRE(open_keeping(&d, 2));
    fill_up(&d, 20);
    d.server_in.keep = false;
    for (unsigned i = 0; i < 200; i++) { /* other traffic, in other blocks */
        CHECK(duo_exchange(&d, SIZE, 5000 + i) != NULL);
    }
    CXPLAT_RECV_DATA *kept = inbox_take_kept(&d.server_in);
    CHECK_EQ(count_intact(kept, 200), 200);
    CxPlatRecvDataReturn(kept);
    duo_close(&d);
}

/* What core holds belongs to the datapath, not to the socket. */
TEST(kept_data_outlives_its_socket)
{
    struct duo d;
    REQUIRE(open_keeping(&d, 1));
    fill_up(&d, 10);
    rig_delete(d.server, &d.server_in);
    d.server = NULL;
    CXPLAT_RECV_DATA *kept = inbox_take_kept(&d.server_in);
    CHECK_EQ(count_intact(kept, 100), 100);
    for (CXPLAT_RECV_DATA *data = kept; data != NULL; data = data->Next) {
        CHECK_ADDR(&data->Route->LocalAddress, &d.address);
        memset(data->Buffer, 0, data->BufferLength);
    }
    CxPlatRecvDataReturn(kept);
    duo_close(&d);
}

/* Data that nobody has returned holds nothing up: no delete, no uninitialize, no pool. */
TEST(kept_data_outlives_datapath_and_pool)
{
    struct duo d;
    REQUIRE(open_keeping(&d, 2));
    fill_up(&d, 10);
    rig_delete(d.server, &d.server_in);
    rig_delete(d.client, &d.client_in);
    d.server = d.client = NULL;
    rig_close(&d.rig); /* fails if a reference is left */
    CXPLAT_RECV_DATA *kept = inbox_take_kept(&d.server_in);
    CHECK_EQ(count_intact(kept, 100), 100);
    for (CXPLAT_RECV_DATA *data = kept; data != NULL; data = data->Next) {
        memset(data->Buffer, 1, data->BufferLength);
        memset(data + 1, 1, RIG_CONTEXT_LENGTH - sizeof(*data));
    }
    CxPlatRecvDataReturn(kept);
    duo_close(&d);
}

/* From other threads, long after everything has ended, at once. */
struct returner {
    pthread_t thread;
    CXPLAT_RECV_DATA *chain;
};

static void *return_chain(void *arg)
{
    struct returner *r = arg;
    CxPlatRecvDataReturn(r->chain);
    return NULL;
}

TEST(data_comes_back_from_other_threads_after_the_end)
{
    enum { THREADS = 8, EACH = 25 };
    struct duo d;
    static struct heap_of_data h;
    struct returner r[THREADS];
    REQUIRE(open_keeping(&d, 1));
    fill_up(&d, THREADS * EACH / 10);
    h.count = 0;
    take_apart(&h, inbox_take_kept(&d.server_in));
    CHECK_EQ(h.count, THREADS * EACH);
    duo_close(&d);
    shuffle(&h); /* so that the threads share every block */
    for (unsigned i = 0; i < THREADS; i++) {
        r[i].chain = chain_of(&h, i * EACH, (i + 1) * EACH);
        pthread_create(&r[i].thread, NULL, return_chain, &r[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(r[i].thread, NULL);
    }
}

/* ---- in any way it likes ---- */

TEST(returning_nothing_does_nothing)
{
    CxPlatRecvDataReturn(NULL);
}

TEST(data_is_returned_in_any_order)
{
    static struct heap_of_data h;
    struct duo d;
    REQUIRE(open_keeping(&d, 1));
    for (unsigned piece = 1; piece <= 7; piece += 3) {
        inbox_clear(&d.server_in);
        fill_up(&d, 10);
        h.count = 0;
        take_apart(&h, inbox_take_kept(&d.server_in));
        shuffle(&h);
        for (unsigned from = 0; from < h.count; from += piece) {
            unsigned to = from + piece < h.count ? from + piece : h.count;
            CxPlatRecvDataReturn(chain_of(&h, from, to));
        }
    }
    duo_close(&d);
}

/* One chain of elements of two datapaths, several sockets and partitions, UDP and TCP together. */
TEST(chains_may_be_mixed)
{
    static struct heap_of_data h;
    struct duo udp[2], tcp;
    h.count = 0;
    for (int i = 0; i < 2; i++) {
        REQUIRE(open_keeping(&udp[i], 4));
        for (unsigned k = 0; k < 100; k++) { /* from many ports, to reach many partitions */
            QUIC_ADDR mine = addr("127.0.0.1", 0);
            int fd = peer_udp(&mine);
            CHECK(peer_send(fd, &udp[i].address, &k, sizeof(k)));
            close(fd);
        }
        CHECK(inbox_wait(&udp[i].server_in, INBOX_DATAGRAMS, 100));
        take_apart(&h, inbox_take_kept(&udp[i].server_in));
    }
    REQUIRE(duo_open_tcp(&tcp, 2, "127.0.0.1"));
    tcp.accepted_in.keep = true;
    for (unsigned k = 1; k <= 20; k++) {
        send_pattern(tcp.client, &tcp.route, 1000, k);
        CHECK(inbox_wait(&tcp.accepted_in, INBOX_BYTES, k * 1000));
    }
    take_apart(&h, inbox_take_kept(&tcp.accepted_in));
    shuffle(&h);
    CxPlatRecvDataReturn(chain_of(&h, 0, h.count));
    duo_close(&tcp);
    duo_close(&udp[0]);
    duo_close(&udp[1]);
}

/* Returned inside the up-call, by sub-chains; while sending from there, too. */
static bool return_piecemeal(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    uint64_t n = 0;
    while (chain != NULL) {
        CXPLAT_RECV_DATA *next = chain->Next;
        CXPLAT_ROUTE route = *chain->Route;
        send_bytes(socket, &route, chain->Buffer, chain->BufferLength);
        chain->Next = NULL;
        CxPlatRecvDataReturn(chain);
        chain = next;
        n++;
    }
    pthread_mutex_lock(&in->lock);
    in->count[INBOX_DATAGRAMS] += n;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->lock);
    return true;
}

/* An echo server: it answers along the route that came with the datagram, as it is. */
TEST(an_up_call_may_send_and_return)
{
    struct duo d;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    d.server_in.on_receive = return_piecemeal;
    for (unsigned i = 0; i < 20; i++) {
        CHECK(send_batch(d.client, &d.route, 10, SIZE, i * 10));
        CHECK(inbox_wait(&d.client_in, INBOX_DATAGRAMS, (i + 1) * 10));
    }
    for (unsigned i = 0; i < 200; i++) {
        const struct mail *m = inbox_mail(&d.client_in, i);
        CHECK(m != NULL && m->length == SIZE && pattern_holds(m->data, SIZE, i));
    }
    duo_close(&d);
}

/* ---- memory ---- */

/* Blocks are used again: endless traffic needs no more of them than what is in use at once. */
TEST(returned_data_is_used_again)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    d.server_in.no_copies = true;
    for (unsigned i = 1; i <= 2000; i++) {
        CHECK(send_batch(d.client, &d.route, 10, SIZE, 0));
        CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, i * 10));
        if (i == 500) {
            d.server_in.user = (void *)(uintptr_t)host_memory_made();
        }
    }
    CHECK_EQ(host_memory_made(), (uintptr_t)d.server_in.user);
    duo_close(&d);
}

/* An element is the smallest thing core can return: one kept of each block keeps just that. */
TEST(one_kept_of_many_holds_up_nobody)
{
    struct duo d;
    static struct heap_of_data h;
    REQUIRE(open_keeping(&d, 1));
    fill_up(&d, 50);
    h.count = 0;
    take_apart(&h, inbox_take_kept(&d.server_in));
    for (unsigned i = 0; i < h.count; i++) {
        if (i % 10 != 0) {
            CxPlatRecvDataReturn(h.item[i]);
        }
    }
    d.server_in.keep = false;
    for (unsigned i = 0; i < 100; i++) {
        CHECK(duo_exchange(&d, SIZE, i) != NULL);
    }
    for (unsigned i = 0; i < h.count; i += 10) {
        CHECK_EQ(count_intact(h.item[i], 500), 1);
        CxPlatRecvDataReturn(h.item[i]);
    }
    duo_close(&d);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(kept_data_stays_as_it_is),
    CASE(kept_data_outlives_its_socket),
    CASE(kept_data_outlives_datapath_and_pool),
    CASE(data_comes_back_from_other_threads_after_the_end),
    CASE(returning_nothing_does_nothing),
    CASE(data_is_returned_in_any_order),
    CASE(chains_may_be_mixed),
    CASE(an_up_call_may_send_and_return),
    CASE(returned_data_is_used_again),
    CASE(one_kept_of_many_holds_up_nobody))
