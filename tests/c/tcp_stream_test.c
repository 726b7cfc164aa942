/* SPDX-License-Identifier: MIT */
/* tcp_stream_test.c - the bytes of a connection, the completions of its sends, and its end. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/pattern.h"
#include "host/peer.h"

enum {
    BUFFER = 0x4000, /* what core's perf tool fills */
    TOTAL = 10 << 20,
    DISCONNECT_MS = 500
};

/* Byte i of a stream is pattern_byte(seed, i), however it is cut. */
struct stream {
    struct gauge received;
    size_t at;
    uint32_t seed;
};

static bool check_stream(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    struct stream *s = in->user;
    (void)socket;
    size_t before = s->at;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        for (unsigned i = 0; i < data->BufferLength; i++) {
            if (data->Buffer[i] != pattern_byte(s->seed, s->at + i)) {
                CHECK_EQ(data->Buffer[i], pattern_byte(s->seed, s->at + i));
                break;
            }
        }
        s->at += data->BufferLength;
    }
    CxPlatRecvDataReturn(chain);
    gauge_add(&s->received, s->at - before);
    return true;
}

static void stream_init(struct stream *s, struct inbox *in, uint32_t seed)
{
    gauge_init(&s->received);
    s->at = 0;
    s->seed = seed;
    in->user = s;
    in->on_receive = check_stream;
}

/* The next bytes of a stream as one send of up to four buffers; returns how many. */
static uint32_t send_stretch(
    CXPLAT_SOCKET *socket, CXPLAT_ROUTE *route, size_t at, uint32_t seed, uint32_t most)
{
    CXPLAT_SEND_CONFIG config = {.Route = route, .MaxPacketSize = BUFFER};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(socket, &config);
    uint32_t total = 0;
    while (CHECK(send != NULL) && total < most && !CxPlatSendDataIsFull(send)) {
        uint32_t length = most - total < BUFFER ? most - total : BUFFER;
        QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, (uint16_t)length);
        if (buffer == NULL) {
            break;
        }
        for (uint32_t i = 0; i < length; i++) {
            buffer->Buffer[i] = pattern_byte(seed, at + total + i);
        }
        total += length;
    }
    CxPlatSocketSend(socket, route, send);
    return total;
}

static uint64_t send_all(CXPLAT_SOCKET *socket, uint32_t seed, size_t total)
{
    CXPLAT_ROUTE route = route_of(socket);
    uint64_t sends = 0;
    for (size_t at = 0; at < total; sends++) {
        uint32_t left = total - at < 4 * BUFFER ? (uint32_t)(total - at) : 4 * BUFFER;
        uint32_t sent = send_stretch(socket, &route, at, seed, left);
        if (!CHECK(sent > 0)) {
            break;
        }
        at += sent;
    }
    return sends;
}

/* ---- bytes ---- */

static void *send_back(void *arg)
{
    struct duo *d = arg;
    return (void *)(uintptr_t)send_all(d->accepted, 2, TOTAL);
}

/* Both ways at once; every byte in its place; every send completed once, with its size. */
static void try_streams(uint32_t workers, const char *ip)
{
    struct duo d;
    struct stream up, down;
    pthread_t thread;
    void *sends_back;
    REQUIRE(duo_open_tcp(&d, workers, ip));
    stream_init(&up, &d.accepted_in, 1);
    stream_init(&down, &d.client_in, 2);
    pthread_create(&thread, NULL, send_back, &d);
    uint64_t sends = send_all(d.client, 1, TOTAL);
    pthread_join(thread, &sends_back);
    CHECK(gauge_wait(&up.received, TOTAL));
    CHECK(gauge_wait(&down.received, TOTAL));
    CHECK(inbox_wait(&d.client_in, INBOX_COMPLETED, sends));
    CHECK(inbox_wait(&d.accepted_in, INBOX_COMPLETED, (uintptr_t)sends_back));
    CHECK_EQ(inbox_count(&d.client_in, INBOX_COMPLETED), sends);
    CHECK_EQ(inbox_count(&d.client_in, INBOX_COMPLETED_BYTES), TOTAL);
    CHECK_EQ(inbox_count(&d.accepted_in, INBOX_COMPLETED_BYTES), TOTAL);
    CHECK_EQ(d.client_in.completion, QUIC_STATUS_SUCCESS);
    CHECK_EQ(up.at, TOTAL);
    duo_close(&d);
    gauge_destroy(&up.received);
    gauge_destroy(&down.received);
}

TEST(ten_megabytes_each_way)
{
    try_streams(1, "127.0.0.1");
    try_streams(4, "::1");
}

/* Without a packet size, and with buffers that are not full. */
TEST(odd_sizes)
{
    static const uint16_t sizes[] = {1, 16383, 2, 65535, 3, 40000, 16384};
    struct duo d;
    struct stream up;
    size_t at = 0;
    REQUIRE(duo_open_tcp(&d, 1, "127.0.0.1"));
    stream_init(&up, &d.accepted_in, 5);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        QUIC_BUFFER *buffer;
        CXPLAT_SEND_DATA *send = send_open(d.client, &d.route, 0, sizes[i], &buffer);
        REQUIRE(send != NULL);
        for (unsigned k = 0; k < sizes[i]; k++) {
            buffer->Buffer[k] = pattern_byte(5, at + k);
        }
        CxPlatSocketSend(d.client, &d.route, send);
        at += sizes[i];
    }
    CHECK(gauge_wait(&up.received, at));
    CHECK(inbox_wait(&d.client_in, INBOX_COMPLETED, sizeof(sizes) / sizeof(sizes[0])));
    CHECK_EQ(inbox_count(&d.client_in, INBOX_COMPLETED_BYTES), at);
    duo_close(&d);
    gauge_destroy(&up.received);
}

/* Core sends from inside up-calls, and a completion may come inside the send: no lock is held. */
static void send_again(struct inbox *in, CXPLAT_SOCKET *socket, enum inbox_event event)
{
    unsigned *left = in->user;
    if ((event == INBOX_CONNECTED || event == INBOX_COMPLETED) && *left > 0) {
        --*left;
        CXPLAT_ROUTE route = route_of(socket);
        send_bytes(socket, &route, "again", 5);
    }
}

TEST(up_calls_may_send)
{
    struct rig rig;
    struct inbox in;
    unsigned left = 40;
    char got[200];
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    int listener = peer_tcp_listener(&loopback);
    QUIC_ADDR remote = peer_address(listener);
    REQUIRE(rig_open(&rig, 2));
    inbox_init(&in, &rig);
    in.user = &left;
    in.on_other = send_again;
    CXPLAT_SOCKET *socket = rig_tcp(&rig, &in, &remote);
    int fd = accept(listener, NULL, NULL);
    CHECK(peer_read(fd, got, sizeof(got)));
    CHECK(inbox_wait(&in, INBOX_COMPLETED, 40));
    close(fd);
    close(listener);
    rig_delete(socket, &in);
    CHECK_EQ(left, 0);
    rig_close(&rig);
    inbox_free(&in);
}

/* ---- a peer that does not read ---- */

/* A client of ours, and the plain socket at the other end. */
struct pair {
    struct rig rig;
    struct inbox in;
    CXPLAT_SOCKET *client;
    int listener, peer;
};

static bool pair_open(struct pair *p)
{
    QUIC_ADDR loopback = addr("127.0.0.1", 0);
    memset(p, 0, sizeof(*p));
    if (!rig_open(&p->rig, 2)) {
        return false;
    }
    inbox_init(&p->in, &p->rig);
    p->listener = peer_tcp_listener(&loopback);
    QUIC_ADDR remote = peer_address(p->listener);
    p->client = rig_tcp(&p->rig, &p->in, &remote);
    p->peer = accept(p->listener, NULL, NULL);
    return CHECK(p->peer >= 0) && CHECK(inbox_wait(&p->in, INBOX_CONNECTED, 1));
}

static void pair_close(struct pair *p)
{
    rig_delete(p->client, &p->in);
    close(p->peer);
    close(p->listener);
    rig_close(&p->rig);
    inbox_free(&p->in);
}

/* Sends until some of it waits for room, and returns how many sends that took. */
static uint64_t fill_pipe(struct pair *p, size_t *bytes)
{
    CXPLAT_ROUTE route = route_of(p->client);
    uint64_t queued = counters_now().tx_queued, sends = 0;
    *bytes = 0;
    while (counters_now().tx_queued < queued + 3 && *bytes < (64u << 20)) {
        *bytes += send_stretch(p->client, &route, *bytes, 3, 4 * BUFFER);
        sends++;
    }
    CHECK(counters_now().tx_queued >= queued + 3);
    return sends;
}

TEST(waiting_sends_complete_when_the_peer_reads)
{
    struct pair p;
    size_t bytes;
    REQUIRE(pair_open(&p));
    uint64_t sends = fill_pipe(&p, &bytes);
    CHECK_LE(inbox_count(&p.in, INBOX_COMPLETED), sends - 3);
    uint8_t *all = malloc(bytes);
    CHECK(peer_read(p.peer, all, bytes));
    CHECK(pattern_holds(all, bytes, 3));
    CHECK(inbox_wait(&p.in, INBOX_COMPLETED, sends));
    CHECK_EQ(inbox_count(&p.in, INBOX_COMPLETED), sends);
    CHECK_EQ(inbox_count(&p.in, INBOX_COMPLETED_BYTES), bytes);
    CHECK_EQ(p.in.completion, QUIC_STATUS_SUCCESS);
    free(all);
    pair_close(&p);
}

/* What a delete throws away is not completed, and not leaked. */
TEST(delete_with_unsent_data)
{
    struct pair p;
    size_t bytes;
    REQUIRE(pair_open(&p));
    uint64_t sends = fill_pipe(&p, &bytes);
    rig_delete(p.client, &p.in); /* seals the inbox */
    p.client = NULL;
    CHECK(inbox_count(&p.in, INBOX_COMPLETED) < sends);
    CHECK(peer_read_end(p.peer));
    pair_close(&p);
}

/* The peer resets the connection: one FALSE, and every waiting send completed once, as failed. */
TEST(waiting_sends_fail_when_the_peer_resets)
{
    struct pair p;
    size_t bytes;
    REQUIRE(pair_open(&p));
    uint64_t sends = fill_pipe(&p, &bytes);
    struct linger reset = {.l_onoff = 1};
    setsockopt(p.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(p.peer);
    p.peer = -1;
    CHECK(inbox_wait_ms(&p.in, INBOX_DISCONNECTED, 1, DISCONNECT_MS));
    CHECK(inbox_wait(&p.in, INBOX_COMPLETED, sends));
    CHECK(QUIC_FAILED(p.in.completion));
    CXPLAT_ROUTE route = route_of(p.client);
    send_bytes(p.client, &route, "too late", 8); /* completes at once, as failed */
    CHECK(inbox_wait(&p.in, INBOX_COMPLETED, sends + 1));
    CHECK(host_pool_wait_round(p.rig.pool, 0) && host_pool_wait_round(p.rig.pool, 1));
    CHECK_EQ(inbox_count(&p.in, INBOX_COMPLETED), sends + 1);
    CHECK_EQ(inbox_count(&p.in, INBOX_DISCONNECTED), 1);
    pair_close(&p);
}

/* ---- the end ---- */

TEST(the_other_side_hears_of_a_delete)
{
    for (int round = 0; round < 20; round++) {
        struct duo d;
        REQUIRE(duo_open_tcp(&d, 2, "127.0.0.1"));
        CXPLAT_SOCKET **mine = round % 2 == 0 ? &d.client : &d.accepted;
        struct inbox *mine_in = round % 2 == 0 ? &d.client_in : &d.accepted_in;
        struct inbox *other_in = round % 2 == 0 ? &d.accepted_in : &d.client_in;
        rig_delete(*mine, mine_in);
        *mine = NULL;
        CHECK(inbox_wait_ms(other_in, INBOX_DISCONNECTED, 1, DISCONNECT_MS));
        CHECK_EQ(inbox_count(mine_in, INBOX_DISCONNECTED), 0);
        CHECK_EQ(inbox_count(other_in, INBOX_DISCONNECTED), 1);
        duo_close(&d);
    }
}

/* All that came before the end is delivered before the end. */
struct order {
    size_t bytes; /* delivered */
    size_t at_end;
};

static bool count_bytes(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    struct order *o = in->user;
    (void)socket;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        o->bytes += data->BufferLength;
    }
    CxPlatRecvDataReturn(chain);
    return true;
}

static void note_end(struct inbox *in, CXPLAT_SOCKET *socket, enum inbox_event event)
{
    struct order *o = in->user;
    (void)socket;
    if (event == INBOX_DISCONNECTED) {
        o->at_end = o->bytes;
    }
}

TEST(data_comes_before_the_end)
{
    static uint8_t data[300000];
    for (int round = 0; round < 10; round++) {
        struct pair p;
        struct order o = {0, 0};
        REQUIRE(pair_open(&p));
        p.in.user = &o;
        p.in.on_receive = count_bytes;
        p.in.on_other = note_end;
        CHECK(peer_write(p.peer, data, sizeof(data)));
        close(p.peer);
        p.peer = -1;
        CHECK(inbox_wait(&p.in, INBOX_DISCONNECTED, 1));
        CHECK_EQ(o.at_end, sizeof(data));
        CHECK(host_pool_wait_round(p.rig.pool, 0) && host_pool_wait_round(p.rig.pool, 1));
        CHECK_EQ(inbox_count(&p.in, INBOX_DISCONNECTED), 1);
        pair_close(&p);
    }
}

/* A peer that has only stopped writing is over for core, which has no half-open connections. */
TEST(a_closed_half_is_the_end)
{
    struct pair p;
    REQUIRE(pair_open(&p));
    CHECK(shutdown(p.peer, SHUT_WR) == 0);
    CHECK(inbox_wait_ms(&p.in, INBOX_DISCONNECTED, 1, DISCONNECT_MS));
    uint64_t before = host_pool_rounds(p.rig.pool, 0) + host_pool_rounds(p.rig.pool, 1);
    CHECK(host_pool_wait_round(p.rig.pool, 0) && host_pool_wait_round(p.rig.pool, 1));
    uint64_t rounds = host_pool_rounds(p.rig.pool, 0) + host_pool_rounds(p.rig.pool, 1) - before;
    CHECK_LE(rounds, 20); /* the end of a stream stays readable: nobody may wake for it for ever */
    pair_close(&p);
}

TEST(statistics_are_filled_in_or_not_supported)
{
    struct duo d;
    CXPLAT_TCP_STATISTICS statistics;
    memset(&statistics, 0xee, sizeof(statistics));
    REQUIRE(duo_open_tcp(&d, 1, "127.0.0.1"));
    QUIC_STATUS status = CxPlatSocketGetTcpStatistics(d.client, &statistics);
    CHECK(status == QUIC_STATUS_SUCCESS || status == QUIC_STATUS_NOT_SUPPORTED);
    if (status == QUIC_STATUS_SUCCESS) {
        CHECK(statistics.Mss > 0 && statistics.Mss <= 65536);
        CHECK(statistics.RttUs != 0xeeeeeeee);
    }
    duo_close(&d);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(ten_megabytes_each_way),
    CASE(odd_sizes),
    CASE(up_calls_may_send),
    CASE(waiting_sends_complete_when_the_peer_reads),
    CASE(delete_with_unsent_data),
    CASE(waiting_sends_fail_when_the_peer_resets),
    CASE(the_other_side_hears_of_a_delete),
    CASE(data_comes_before_the_end),
    CASE(a_closed_half_is_the_end),
    CASE(statistics_are_filled_in_or_not_supported))
