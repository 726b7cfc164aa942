/* SPDX-License-Identifier: MIT */
/* udp_receive_test.c - what one read brings: coalesced segments, and what must not be delivered. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/inject.h"
#include "host/netns.h"
#include "host/pattern.h"
#include "host/peer.h"

/* A server of one partition, and a plain socket that sends to it. */
struct scene {
    struct rig rig;
    struct inbox in;
    CXPLAT_SOCKET *server;
    QUIC_ADDR to;
    int peer;
    uint8_t *bytes; /* 65536 */
};

static bool scene_open_on(struct scene *s, const char *ip)
{
    QUIC_ADDR local = addr(ip, 0);
    inbox_init(&s->in, &s->rig);
    s->bytes = malloc(65536);
    s->server = rig_udp(&s->rig, &s->in, &local, NULL);
    s->peer = peer_udp(&local);
    if (s->server == NULL || !CHECK(s->peer >= 0)) {
        return false;
    }
    s->to = socket_local(s->server);
    return true;
}

static bool scene_open(struct scene *s, const char *ip)
{
    memset(s, 0, sizeof(*s));
    return rig_open(&s->rig, 1) && scene_open_on(s, ip);
}

static bool scene_open_external(struct scene *s, const char *ip)
{
    memset(s, 0, sizeof(*s));
    return rig_open_external(&s->rig, 1) && scene_open_on(s, ip);
}

static void scene_close(struct scene *s)
{
    close(s->peer);
    rig_delete(s->server, &s->in);
    rig_close(&s->rig);
    inbox_free(&s->in);
    free(s->bytes);
}

/* ---- coalesced segments ---- */

static bool send_segments(struct scene *s, unsigned count, uint16_t size, uint16_t last)
{
    for (unsigned i = 0; i < count; i++) {
        pattern_fill(s->bytes + i * size, i + 1 == count ? last : size, i);
    }
    return CHECK(peer_send_segmented(s->peer, &s->to, s->bytes, (count - 1) * size + last, size));
}

static void check_segments(struct scene *s, unsigned count, uint16_t size, uint16_t last)
{
    QUIC_ADDR from = peer_address(s->peer);
    CHECK_EQ(inbox_count(&s->in, INBOX_DATAGRAMS), count);
    for (unsigned i = 0; i < count; i++) {
        const struct mail *m = inbox_mail(&s->in, i);
        if (!CHECK(m != NULL)) {
            return;
        }
        CHECK_EQ(m->length, i + 1 == count ? last : size);
        CHECK(pattern_holds(m->data, m->length, i));
        CHECK_ADDR(&m->from, &from);
        CHECK_ADDR(&m->to, &s->to);
    }
}

/* The kernel hands over all segments of a send in one read: each one is delivered, in order. */
static void try_segments(struct scene *s, unsigned count, uint16_t size, uint16_t last)
{
    inbox_clear(&s->in);
    if (send_segments(s, count, size, last) && CHECK(inbox_wait(&s->in, INBOX_DATAGRAMS, count))) {
        check_segments(s, count, size, last);
    }
}

static void try_all_segments(const char *ip)
{
    /* 53 is where MsQuic's own datapath stops, 64 what the kernel merges on the wire, 128 what it
     * takes from a local sender. */
    static const unsigned counts[] = {1, 2, 3, 52, 53, 54, 63, 64, 65, 100, 127, 128};
    struct scene s;
    REQUIRE(scene_open(&s, ip));
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]) && check_failures() == 0; i++) {
        try_segments(&s, counts[i], 500, 500);
        try_segments(&s, counts[i], 500, 1);
        try_segments(&s, counts[i], 500, 499);
        try_segments(&s, counts[i], 2, 1);
    }
    try_segments(&s, 45, 1452, 100);
    try_segments(&s, 128, 511, 511);
    scene_close(&s);
}

TEST(ipv4_segments_are_all_delivered)
{
    try_all_segments("127.0.0.1");
}

TEST(ipv6_segments_are_all_delivered)
{
    try_all_segments("::1");
}

/* They came in one read, or this file tests nothing: fewer turns than segments tell. */
TEST(segments_come_in_one_read)
{
    struct scene s;
    REQUIRE(scene_open_external(&s, "127.0.0.1"));
    struct msquicxdp_counters before = counters_now();
    REQUIRE(send_segments(&s, 128, 500, 500));
    CHECK(host_pool_poll(s.rig.pool, 0, 1000) == 1);
    struct msquicxdp_counters after = counters_now();
    CHECK_EQ(inbox_count(&s.in, INBOX_DATAGRAMS), 128);
    CHECK_EQ(after.rx_datagrams - before.rx_datagrams, 128);
    CHECK_EQ(after.rx_bytes - before.rx_bytes, 128 * 500);
    CHECK_LE(after.rx_turns - before.rx_turns, 2);
    CHECK_EQ(after.rx_dropped - before.rx_dropped, 0);
    scene_close(&s);
}

/* A burst of separate datagrams of all sizes, more than one read takes. */
TEST(bursts_keep_order_and_content)
{
    enum { COUNT = 500 };
    struct scene s;
    REQUIRE(netns_keep_order_on_lo());
    REQUIRE(scene_open_external(&s, "127.0.0.1"));
    for (unsigned i = 0; i < COUNT; i++) {
        uint16_t length = (uint16_t)(1 + i * 13 % 3000);
        pattern_fill(s.bytes, length, i);
        CHECK(peer_send(s.peer, &s.to, s.bytes, length));
    }
    CHECK(inbox_wait(&s.in, INBOX_DATAGRAMS, COUNT));
    for (unsigned i = 0; i < COUNT; i++) {
        const struct mail *m = inbox_mail(&s.in, i);
        REQUIRE(m != NULL);
        CHECK_EQ(m->length, 1 + i * 13 % 3000);
        CHECK(pattern_holds(m->data, m->length, i));
    }
    scene_close(&s);
}

/* ---- reads that the kernel answers strangely ---- */

/* What becomes of recvmmsg: another answer to the first, or changes to what each of them read. */
struct trick {
    int64_t result;
    void (*edit)(struct mmsghdr *messages, int64_t n); /* NULL: result */
    unsigned calls;
};

static int64_t play(void *context, const uint64_t args[6])
{
    struct trick *t = context;
    if (t->edit == NULL) {
        return t->calls++ == 0 ? t->result : INJECT_NOTHING;
    }
    t->calls++;
    struct mmsghdr *messages = (struct mmsghdr *)(uintptr_t)args[1];
    int n = recvmmsg((int)args[0], messages, (unsigned)args[2], MSG_DONTWAIT, NULL);
    if (n > 0) {
        t->edit(messages, n);
    }
    return n >= 0 ? n : -errno;
}

static void poll_once(void *arg)
{
    struct scene *s = arg;
    host_pool_poll(s->rig.pool, 0, HOST_DEADLINE_MS);
}

/* Two datagrams wait; the trick is played on the read; later the socket must still work. */
static void try_trick(void (*edit)(struct mmsghdr *messages, int64_t n), unsigned delivered)
{
    struct scene s;
    struct trick trick = {.edit = edit};
    REQUIRE(scene_open_external(&s, "127.0.0.1"));
    CHECK(peer_send(s.peer, &s.to, "one", 3));
    CHECK(peer_send(s.peer, &s.to, "two", 3));
    CHECK(inject_run(SYS_recvmmsg, play, &trick, poll_once, &s));
    CHECK(trick.calls > 0);
    CHECK_EQ(inbox_count(&s.in, INBOX_DATAGRAMS), delivered);
    CHECK(peer_send(s.peer, &s.to, "last", 4));
    CHECK(inbox_wait(&s.in, INBOX_DATAGRAMS, delivered + 1));
    const struct mail *m = inbox_mail(&s.in, delivered);
    CHECK(m != NULL && m->length == 4);
    CHECK_EQ(inbox_count(&s.in, INBOX_UNREACHABLE), 0);
    scene_close(&s);
}

static void no_control(struct mmsghdr *messages, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        messages[i].msg_hdr.msg_controllen = 0;
    }
}

static void cut_control(struct mmsghdr *messages, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        messages[i].msg_hdr.msg_flags |= MSG_CTRUNC;
        messages[i].msg_hdr.msg_controllen -= 24;
    }
}

static void cut_payload(struct mmsghdr *messages, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        messages[i].msg_hdr.msg_flags |= MSG_TRUNC;
    }
}

/* Lengths of control messages that lead nowhere, or around in circles. */
static void wild_control(struct mmsghdr *messages, int64_t n)
{
    static const size_t lengths[] = {0, 1, 15, SIZE_MAX, SIZE_MAX - 7, 1u << 31};
    static unsigned next;
    for (int64_t i = 0; i < n; i++) {
        struct cmsghdr *c = messages[i].msg_hdr.msg_control;
        c->cmsg_len = lengths[next++ % (sizeof(lengths) / sizeof(lengths[0]))];
    }
}

static void empty_messages(struct mmsghdr *messages, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        messages[i].msg_len = 0;
    }
}

static void huge_messages(struct mmsghdr *messages, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        messages[i].msg_len = 0x7fffffff;
    }
}

static void try_edit(void (*edit)(struct mmsghdr *messages, int64_t n))
{
    struct msquicxdp_counters before = counters_now();
    try_trick(edit, 0);
    struct msquicxdp_counters after = counters_now();
    uint64_t dropped = edit == empty_messages ? 0 : 2; /* an empty datagram is no loss */
    CHECK_EQ(after.rx_dropped - before.rx_dropped, dropped);
}

/* Truncated, or without the metadata that core needs: dropped and counted. */
TEST(damaged_messages_are_dropped)
{
    try_edit(no_control);
    try_edit(cut_control);
    try_edit(cut_payload);
    try_edit(empty_messages);
    try_edit(huge_messages);
    for (int i = 0; i < 3; i++) {
        try_edit(wild_control);
    }
}

/* An error of a read says nothing about the datagrams behind it: they stay and come. */
TEST(errors_of_reads_lose_nothing)
{
    static const int errors[] = {EINTR,       ENOMEM,   ENOBUFS, ECONNREFUSED, EHOSTUNREACH,
                                 ENETUNREACH, EMSGSIZE, EPROTO,  EAGAIN,       EIO};
    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct scene s;
        REQUIRE(scene_open_external(&s, "127.0.0.1"));
        struct trick trick = {.result = -errors[i]};
        CHECK(peer_send(s.peer, &s.to, "one", 3));
        CHECK(inject_run(SYS_recvmmsg, play, &trick, poll_once, &s));
        CHECK(trick.calls > 0);
        CHECK(inbox_wait(&s.in, INBOX_DATAGRAMS, 1));
        CHECK_EQ(inbox_count(&s.in, INBOX_UNREACHABLE), 0); /* not connected: nobody to tell of */
        scene_close(&s);
    }
}

/* A segment size that makes no sense must not take the reader out of its buffer. */
static void wild_segment(struct mmsghdr *messages, int64_t n, int segment)
{
    for (int64_t i = 0; i < n; i++) {
        struct msghdr *h = &messages[i].msg_hdr;
        char *end = (char *)h->msg_control + h->msg_controllen;
        struct cmsghdr c = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = 17, .cmsg_type = 104};
        memcpy(end, &c, sizeof(c));
        memcpy(end + sizeof(c), &segment, sizeof(segment));
        h->msg_controllen += CMSG_SPACE(sizeof(int));
    }
}

static void segment_zero(struct mmsghdr *m, int64_t n)
{
    wild_segment(m, n, 0);
}

static void segment_negative(struct mmsghdr *m, int64_t n)
{
    wild_segment(m, n, -1);
}

static void segment_long(struct mmsghdr *m, int64_t n)
{
    wild_segment(m, n, 100000);
}

TEST(senseless_segment_sizes_are_one_datagram)
{
    try_trick(segment_zero, 2);
    try_trick(segment_negative, 2);
    try_trick(segment_long, 2);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(ipv4_segments_are_all_delivered),
    CASE(ipv6_segments_are_all_delivered),
    CASE(segments_come_in_one_read),
    CASE(damaged_messages_are_dropped),
    CASE(errors_of_reads_lose_nothing),
    CASE(senseless_segment_sizes_are_one_datagram),
    CASE(bursts_keep_order_and_content))
