/* SPDX-License-Identifier: MIT */
/* udp_send_test.c - buffers of a send: what fits, what is committed, and what leaves. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/memory.h"
#include "host/pattern.h"
#include "host/peer.h"

/* A client of ours that is connected to a plain socket, which sees what really leaves. */
struct scene {
    struct rig rig;
    struct inbox in;
    CXPLAT_SOCKET *socket;
    CXPLAT_ROUTE route;
    int peer;
    struct peer_packet *packet;
};

static bool scene_open(struct scene *s, const char *ip)
{
    QUIC_ADDR mine = addr(ip, 0);
    memset(s, 0, sizeof(*s));
    s->packet = calloc(1, sizeof(*s->packet));
    s->peer = peer_udp(&mine);
    QUIC_ADDR remote = peer_address(s->peer);
    if (!rig_open(&s->rig, 1)) {
        return false;
    }
    inbox_init(&s->in, &s->rig);
    s->socket = rig_udp(&s->rig, &s->in, NULL, &remote);
    if (s->socket == NULL) {
        return false;
    }
    s->route = route_of(s->socket);
    return true;
}

static void scene_close(struct scene *s)
{
    close(s->peer);
    rig_delete(s->socket, &s->in);
    rig_close(&s->rig);
    inbox_free(&s->in);
    free(s->packet);
}

static CXPLAT_SEND_DATA *start(struct scene *s, uint16_t packet_size)
{
    CXPLAT_SEND_CONFIG config = {.Route = &s->route, .MaxPacketSize = packet_size};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(s->socket, &config);
    CHECK(send != NULL);
    return send;
}

/* A buffer with the pattern of seed; NULL, without a failure, when none is to be had. */
static QUIC_BUFFER *fill(CXPLAT_SEND_DATA *send, uint16_t length, uint32_t seed)
{
    QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, length);
    if (buffer != NULL) {
        CHECK_EQ(buffer->Length, length);
        pattern_fill(buffer->Buffer, length, seed);
    }
    return buffer;
}

static void expect(struct scene *s, size_t length, uint32_t seed)
{
    if (CHECK(peer_receive(s->peer, s->packet))) {
        CHECK_EQ(s->packet->length, length);
        CHECK(pattern_holds(s->packet->data, s->packet->length, seed));
    }
}

/* Nothing but what the test expected has left: a last datagram comes at once. */
static void expect_no_more(struct scene *s)
{
    send_pattern(s->socket, &s->route, 7, 777);
    expect(s, 7, 777);
    CHECK(!peer_has_mail(s->peer));
}

/* ---- how much fits ---- */

TEST(without_a_packet_size_one_datagram_fits)
{
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CXPLAT_SEND_DATA *send = start(&s, 0);
    CHECK(CxPlatSendDataAllocBuffer(send, 65508) == NULL); /* more than UDP can carry */
    CHECK(CxPlatSendDataAllocBuffer(send, 65535) == NULL);
    CHECK(fill(send, 1472, 1) != NULL);
    CHECK(CxPlatSendDataIsFull(send));
    CHECK(CxPlatSendDataAllocBuffer(send, 1) == NULL);
    CxPlatSocketSend(s.socket, &s.route, send);
    expect(&s, 1472, 1);
    expect_no_more(&s);
    scene_close(&s);
}

TEST(buffers_are_at_most_the_packet_size)
{
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CXPLAT_SEND_DATA *send = start(&s, 1000);
    CHECK(CxPlatSendDataAllocBuffer(send, 1001) == NULL);
    CHECK(fill(send, 1000, 1) != NULL);
    CHECK(CxPlatSendDataAllocBuffer(send, 1001) == NULL);
    CHECK(fill(send, 1000, 2) != NULL);
    CHECK(!CxPlatSendDataIsFull(send));
    CxPlatSocketSend(s.socket, &s.route, send);
    expect(&s, 1000, 1);
    expect(&s, 1000, 2);
    expect_no_more(&s);
    scene_close(&s);
}

TEST(a_short_datagram_is_the_last)
{
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CXPLAT_SEND_DATA *send = start(&s, 1000);
    CHECK(fill(send, 1000, 1) != NULL);
    CHECK(fill(send, 999, 2) != NULL);
    CHECK(CxPlatSendDataAllocBuffer(send, 1000) == NULL);
    CHECK(CxPlatSendDataIsFull(send));
    CxPlatSocketSend(s.socket, &s.route, send);
    expect(&s, 1000, 1);
    expect(&s, 999, 2);
    expect_no_more(&s);
    scene_close(&s);
}

/* Takes buffers until there are no more, and sees that every one of them arrives. */
static void fill_up(struct scene *s, uint16_t size)
{
    CXPLAT_SEND_DATA *send = start(s, size);
    unsigned n = 0;
    while (fill(send, size, n) != NULL) {
        n++;
    }
    CHECK(CxPlatSendDataIsFull(send));
    CHECK(n * size <= 65507);
    CHECK(n >= 40 || (n + 1) * size > 65507); /* what core batches has to fit */
    CxPlatSocketSend(s->socket, &s->route, send);
    for (unsigned i = 0; i < n; i++) {
        expect(s, size, i);
    }
}

TEST(a_send_takes_buffers_until_it_is_full)
{
    static const uint16_t sizes[] = {1, 7, 100, 1000, 1200, 1023, 1452, 1472};
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        fill_up(&s, sizes[i]);
    }
    expect_no_more(&s);
    scene_close(&s);
}

/* ---- what is committed ---- */

TEST(a_buffer_can_be_given_back)
{
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CXPLAT_SEND_DATA *send = start(&s, 500);
    CHECK(fill(send, 500, 1) != NULL);
    QUIC_BUFFER *buffer = fill(send, 500, 99);
    CxPlatSendDataFreeBuffer(send, buffer);
    CHECK(fill(send, 500, 2) != NULL); /* as if the other had never been */
    buffer = fill(send, 300, 98);
    CxPlatSendDataFreeBuffer(send, buffer);
    CHECK(!CxPlatSendDataIsFull(send)); /* the short one does not count */
    CxPlatSocketSend(s.socket, &s.route, send);
    expect(&s, 500, 1);
    expect(&s, 500, 2);
    send = start(&s, 0);
    CxPlatSendDataFreeBuffer(send, fill(send, 10, 97));
    CHECK(fill(send, 20, 3) != NULL);
    CxPlatSocketSend(s.socket, &s.route, send);
    expect(&s, 20, 3);
    expect_no_more(&s);
    scene_close(&s);
}

TEST(length_counts_as_it_is_at_the_commit)
{
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CXPLAT_SEND_DATA *send = start(&s, 1200);
    CHECK(fill(send, 1200, 1) != NULL);
    QUIC_BUFFER *buffer = fill(send, 1200, 2);
    buffer->Length = 600;
    CHECK(CxPlatSendDataIsFull(send)); /* now it is the last */
    CxPlatSocketSend(s.socket, &s.route, send);
    expect(&s, 1200, 1);
    expect(&s, 600, 2);
    send = start(&s, 0);
    buffer = fill(send, 1400, 3);
    buffer->Length = 1;
    CxPlatSocketSend(s.socket, &s.route, send);
    expect(&s, 1, 3);
    expect_no_more(&s);
    scene_close(&s);
}

TEST(length_zero_throws_a_buffer_away)
{
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CXPLAT_SEND_DATA *send = start(&s, 400);
    QUIC_BUFFER *buffer = fill(send, 400, 9);
    buffer->Length = 0;
    CHECK(fill(send, 400, 1) != NULL);
    buffer = fill(send, 400, 9);
    buffer->Length = 0;
    CHECK(!CxPlatSendDataIsFull(send));
    CHECK(fill(send, 400, 2) != NULL);
    buffer = fill(send, 400, 9);
    buffer->Length = 0;
    CxPlatSocketSend(s.socket, &s.route, send);
    expect(&s, 400, 1);
    expect(&s, 400, 2);
    expect_no_more(&s);
    scene_close(&s);
}

TEST(a_send_without_datagrams_sends_nothing)
{
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CxPlatSocketSend(s.socket, &s.route, start(&s, 400));
    CXPLAT_SEND_DATA *send = start(&s, 0);
    fill(send, 400, 9)->Length = 0;
    CxPlatSocketSend(s.socket, &s.route, send);
    send = start(&s, 400);
    CxPlatSendDataFreeBuffer(send, fill(send, 400, 9));
    CxPlatSocketSend(s.socket, &s.route, send);
    expect_no_more(&s);
    scene_close(&s);
}

/* Core encrypts the headers of several datagrams together, long after they are committed. */
TEST(committed_bytes_can_be_written_until_the_send)
{
    enum { COUNT = 20, SIZE = 1200 };
    struct scene s;
    uint8_t *bytes[COUNT];
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CXPLAT_SEND_DATA *send = start(&s, SIZE);
    for (unsigned i = 0; i < COUNT; i++) {
        QUIC_BUFFER *buffer = fill(send, SIZE, 500 + i);
        REQUIRE(buffer != NULL);
        bytes[i] = buffer->Buffer;
    }
    CxPlatSendDataIsFull(send);
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(pattern_holds(bytes[i], SIZE, 500 + i)); /* none lies over another */
    }
    for (unsigned i = 0; i < COUNT; i++) {
        pattern_fill(bytes[i], SIZE, i);
    }
    CHECK(!peer_has_mail(s.peer));
    CxPlatSocketSend(s.socket, &s.route, send);
    for (unsigned i = 0; i < COUNT; i++) {
        expect(&s, SIZE, i);
    }
    expect_no_more(&s);
    scene_close(&s);
}

TEST(a_send_can_be_dropped)
{
    struct scene s;
    REQUIRE(scene_open(&s, "127.0.0.1"));
    CxPlatSendDataFree(start(&s, 0));
    CXPLAT_SEND_DATA *send = start(&s, 1000);
    CHECK(fill(send, 1000, 1) != NULL);
    CxPlatSendDataFree(send); /* with an open buffer */
    send = start(&s, 1000);
    CHECK(fill(send, 1000, 1) != NULL && fill(send, 900, 2) != NULL);
    CHECK(CxPlatSendDataIsFull(send));
    CxPlatSendDataFree(send); /* with committed ones */
    expect_no_more(&s);
    scene_close(&s);
}

/* Sends lie open side by side without knowing of each other, and outlive what came before them. */
TEST(many_sends_at_once)
{
    enum { COUNT = 300 };
    struct scene s;
    static CXPLAT_SEND_DATA *sends[COUNT];
    REQUIRE(scene_open(&s, "127.0.0.1"));
    for (unsigned i = 0; i < COUNT; i++) {
        sends[i] = start(&s, 1000);
        CHECK(fill(sends[i], 1000, i) != NULL);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned k = i * 7 % COUNT;
        if (k % 3 == 0) {
            CxPlatSendDataFree(sends[k]);
        } else {
            CxPlatSocketSend(s.socket, &s.route, sends[k]);
            expect(&s, 1000, k);
        }
    }
    expect_no_more(&s);
    scene_close(&s);
}

/* ---- batches on the wire ---- */

static void try_batch(struct scene *s, unsigned count, uint16_t size, uint16_t last)
{
    CXPLAT_SEND_DATA *send = start(s, size);
    for (unsigned i = 0; i < count; i++) {
        if (!CHECK(fill(send, i + 1 == count ? last : size, i) != NULL)) {
            CxPlatSendDataFree(send);
            return;
        }
    }
    CxPlatSocketSend(s->socket, &s->route, send);
    for (unsigned i = 0; i < count; i++) {
        expect(s, i + 1 == count ? last : size, i);
    }
}

static void try_batches(const char *ip)
{
    static const uint16_t sizes[] = {1, 2, 99, 1200, 1452};
    struct scene s;
    REQUIRE(scene_open(&s, ip));
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned count = 1; count <= 40; count += count < 4 ? 1 : 9) {
            try_batch(&s, count, sizes[i], sizes[i]);
            try_batch(&s, count, sizes[i], 1);
            try_batch(&s, count, sizes[i], (uint16_t)(sizes[i] / 2 + 1));
        }
    }
    expect_no_more(&s);
    scene_close(&s);
}

TEST(ipv4_batches_arrive_as_datagrams)
{
    try_batches("127.0.0.1");
}

TEST(ipv6_batches_arrive_as_datagrams)
{
    try_batches("::1");
}

/* A whole batch is one system call. */
TEST(a_batch_is_sent_at_once)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    struct msquicxdp_counters before = counters_now();
    CHECK(send_batch(d.client, &d.route, 40, 1400, 0));
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 40));
    struct msquicxdp_counters after = counters_now();
    CHECK_EQ(after.tx_batches - before.tx_batches, 1);
    CHECK_EQ(after.tx_datagrams - before.tx_datagrams, 40);
    CHECK_EQ(after.tx_bytes - before.tx_bytes, 40 * 1400);
    CHECK_EQ(after.tx_failed - before.tx_failed, 0);
    duo_close(&d);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(without_a_packet_size_one_datagram_fits),
    CASE(buffers_are_at_most_the_packet_size),
    CASE(a_short_datagram_is_the_last),
    CASE(a_send_takes_buffers_until_it_is_full),
    CASE(a_buffer_can_be_given_back),
    CASE(length_counts_as_it_is_at_the_commit),
    CASE(length_zero_throws_a_buffer_away),
    CASE(a_send_without_datagrams_sends_nothing),
    CASE(committed_bytes_can_be_written_until_the_send),
    CASE(a_send_can_be_dropped),
    CASE(many_sends_at_once),
    CASE(ipv4_batches_arrive_as_datagrams),
    CASE(ipv6_batches_arrive_as_datagrams),
    CASE(a_batch_is_sent_at_once))
