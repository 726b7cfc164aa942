/* SPDX-License-Identifier: MIT */
/* udp_queue_test.c - sends for which the kernel has no room: they wait, and keep their order. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "host/duo.h"
#include "host/inject.h"
#include "host/link.h"
#include "host/netns.h"
#include "host/pattern.h"

enum { SENDERS = 4, SIZE = 1000 };

/* A receiver that knows for each sender which number comes next. */
struct arrivals {
    uint32_t next[SENDERS];
};

static bool check_order(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    struct arrivals *a = in->user;
    uint64_t n = 0;
    (void)socket;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next, n++) {
        uint32_t words[2];
        memcpy(words, data->Buffer, sizeof(words));
        if (CHECK(words[0] < SENDERS)) {
            CHECK_EQ(words[1], a->next[words[0]]);
            a->next[words[0]] = words[1] + 1;
        }
        CHECK_EQ(data->BufferLength, SIZE);
        CHECK(pattern_holds(data->Buffer + 8, SIZE - 8, words[1]));
    }
    CxPlatRecvDataReturn(chain);
    pthread_mutex_lock(&in->lock);
    in->count[INBOX_DATAGRAMS] += n;
    pthread_cond_broadcast(&in->changed);
    pthread_mutex_unlock(&in->lock);
    return true;
}

static void write_numbered(uint8_t *buffer, uint32_t sender, uint32_t number)
{
    uint32_t words[2] = {sender, number};
    memcpy(buffer, words, sizeof(words));
    pattern_fill(buffer + 8, SIZE - 8, number);
}

/* `count` datagrams in one send, from `number` on. */
static void send_numbered(struct duo *d, uint32_t sender, uint32_t number, unsigned count)
{
    CXPLAT_ROUTE route = d->route;
    CXPLAT_SEND_CONFIG config = {.Route = &route, .MaxPacketSize = SIZE};
    CXPLAT_SEND_DATA *send = CxPlatSendDataAlloc(d->client, &config);
    if (!CHECK(send != NULL)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        QUIC_BUFFER *buffer = CxPlatSendDataAllocBuffer(send, SIZE);
        if (CHECK(buffer != NULL)) {
            write_numbered(buffer->Buffer, sender, number + i);
        }
    }
    CxPlatSocketSend(d->client, &route, send);
}

static bool open_ordered(struct duo *d, struct arrivals *a)
{
    memset(a, 0, sizeof(*a));
    if (!CHECK(netns_keep_order_on_lo()) || !duo_open(d, 1, "127.0.0.1")) {
        return false;
    }
    d->server_in.user = a;
    d->server_in.on_receive = check_order;
    return true;
}

/* ---- a slow device ---- */

struct sender {
    pthread_t thread;
    struct duo *d;
    uint32_t number;
    unsigned each;
    unsigned batch;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;
    for (uint32_t i = 0; i < s->each; i += s->batch) {
        send_numbered(s->d, s->number, i, s->batch);
    }
    return NULL;
}

/* More than the socket's send buffer holds, on a device of 4 MB/s: most must wait, none is lost. */
static void flood(unsigned senders, unsigned each, unsigned batch)
{
    struct duo d;
    struct arrivals a;
    struct sender s[SENDERS];
    REQUIRE(open_ordered(&d, &a));
    REQUIRE(link_limit_rate("lo", 4u << 20));
    struct msquicxdp_counters before = counters_now();
    for (uint32_t i = 0; i < senders; i++) {
        s[i] = (struct sender){.d = &d, .number = i, .each = each, .batch = batch};
        pthread_create(&s[i].thread, NULL, send_all, &s[i]);
    }
    for (uint32_t i = 0; i < senders; i++) {
        pthread_join(s[i].thread, NULL);
    }
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, (uint64_t)senders * each));
    struct msquicxdp_counters after = counters_now();
    CHECK(after.tx_queued > before.tx_queued); /* or this test has tested nothing */
    CHECK_EQ(after.tx_failed - before.tx_failed, 0);
    CHECK(link_unlimit_rate("lo"));
    duo_close(&d);
}

TEST(single_datagrams_wait_in_order)
{
    flood(1, 2000, 1);
}

TEST(batches_wait_in_order)
{
    flood(1, 2000, 20);
}

TEST(concurrent_senders_wait_in_order)
{
    flood(SENDERS, 500, 1);
    flood(SENDERS, 500, 10);
}

/* What waits is dropped with the socket: freed, and its deletion does not wait for the device. */
TEST(delete_with_waiting_sends)
{
    struct duo d;
    struct arrivals a;
    REQUIRE(open_ordered(&d, &a));
    REQUIRE(link_limit_rate("lo", 64u << 10));
    struct msquicxdp_counters before = counters_now();
    for (uint32_t i = 0; i < 1000; i++) {
        send_numbered(&d, 0, i, 1);
    }
    CHECK(counters_now().tx_queued > before.tx_queued);
    rig_delete(d.client, &d.client_in);
    d.client = NULL;
    CHECK(link_unlimit_rate("lo"));
    duo_close(&d);
}

/* ---- a kernel that says EAGAIN when the test wants it ---- */

struct busy {
    struct duo d;
    unsigned calls;
    unsigned from, to; /* these calls find no room */
};

static int64_t play(void *context, const uint64_t args[6])
{
    struct busy *b = context;
    (void)args;
    b->calls++;
    return b->calls >= b->from && b->calls < b->to ? -EAGAIN : INJECT_NOTHING;
}

static void send_fifty(void *arg)
{
    struct busy *b = arg;
    for (uint32_t i = 0; i < 50; i++) {
        send_numbered(&b->d, 0, i, 1);
    }
}

/* The worker empties the queue while this thread fills it: neither may overtake the other. */
TEST(a_send_never_overtakes_one_that_waits)
{
    for (unsigned from = 1; from <= 40; from += 3) {
        static struct busy b;
        struct arrivals a;
        b = (struct busy){.from = from, .to = from + 3};
        REQUIRE(open_ordered(&b.d, &a));
        struct msquicxdp_counters before = counters_now();
        CHECK(inject_run(SYS_sendmsg, play, &b, send_fifty, &b));
        CHECK(inbox_wait(&b.d.server_in, INBOX_DATAGRAMS, 50));
        CHECK(counters_now().tx_queued > before.tx_queued);
        duo_close(&b.d);
    }
}

/* The route that was given dies with the call, so what waits has copied it. */
static void send_and_forget(void *arg)
{
    struct busy *b = arg;
    QUIC_BUFFER *buffer;
    CXPLAT_ROUTE route = b->d.route;
    CXPLAT_SEND_DATA *send = send_open(b->d.client, &route, 0, SIZE, &buffer);
    if (send != NULL) {
        write_numbered(buffer->Buffer, 0, 0);
        CxPlatSocketSend(b->d.client, &route, send);
        memset(&route, 0x5a, sizeof(route));
    }
}

TEST(a_waiting_send_does_not_need_its_route)
{
    static struct busy b;
    struct arrivals a;
    b = (struct busy){.from = 1, .to = 2};
    REQUIRE(open_ordered(&b.d, &a));
    CHECK(inject_run(SYS_sendmsg, play, &b, send_and_forget, &b));
    CHECK(inbox_wait(&b.d.server_in, INBOX_DATAGRAMS, 1));
    duo_close(&b.d);
}

static int64_t refuse_all(void *context, const uint64_t args[6])
{
    struct busy *b = context;
    (void)args;
    b->calls++;
    return -(int64_t)b->from; /* here: an errno */
}

static void poll_once(void *arg)
{
    struct busy *b = arg;
    host_pool_poll(b->d.rig.pool, 0, HOST_DEADLINE_MS);
}

/* The peer is found to be unreachable while a datagram waits: told by the worker that sends it. */
TEST(a_waiting_send_that_is_refused_is_told)
{
    static const int errors[] = {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EMSGSIZE};
    for (unsigned i = 0; i < 4; i++) {
        static struct busy b;
        b = (struct busy){.from = 1, .to = 2};
        REQUIRE(duo_open_external(&b.d, "127.0.0.1"));
        CHECK(inject_run(SYS_sendmsg, play, &b, send_and_forget, &b));
        b.from = (unsigned)errors[i];
        b.calls = 0;
        CHECK(inject_run(SYS_sendmsg, refuse_all, &b, poll_once, &b));
        CHECK_EQ(b.calls, 1);
        uint64_t told = errors[i] == EMSGSIZE ? 0 : 1;
        CHECK_EQ(inbox_count(&b.d.client_in, INBOX_UNREACHABLE), told);
        duo_close(&b.d);
    }
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(single_datagrams_wait_in_order),
    CASE(batches_wait_in_order),
    CASE(concurrent_senders_wait_in_order),
    CASE(delete_with_waiting_sends),
    CASE(a_send_never_overtakes_one_that_waits),
    CASE(a_waiting_send_does_not_need_its_route),
    CASE(a_waiting_send_that_is_refused_is_told))
