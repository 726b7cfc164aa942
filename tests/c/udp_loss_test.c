/* SPDX-License-Identifier: MIT */
/* udp_loss_test.c - sends that fail: which are told, which are lost in silence, which try again. */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/inject.h"
#include "host/link.h"
#include "host/pattern.h"
#include "host/peer.h"

/* ---- peers that cannot be reached ---- */

/* A client of ours whose peer is a port that was just closed. */
static bool open_refused(struct duo *d, const char *ip)
{
    if (!duo_open(d, 1, ip)) {
        return false;
    }
    rig_delete(d->server, &d->server_in);
    d->server = NULL;
    return true;
}

static void try_refused(const char *ip)
{
    struct duo d;
    REQUIRE(open_refused(&d, ip));
    for (unsigned i = 1; i <= 5; i++) {
        /* The refusal of one datagram may come back with the next: ask until it is told again. */
        uint64_t told = inbox_count(&d.client_in, INBOX_UNREACHABLE);
        send_pattern(d.client, &d.route, 100, i);
        CHECK(inbox_wait(&d.client_in, INBOX_UNREACHABLE, told + 1));
        CHECK_ADDR(&d.client_in.unreachable, &d.address);
    }
    duo_close(&d);
}

TEST(a_refused_port_is_told)
{
    try_refused("127.0.0.1");
    try_refused("::1");
}

/* A server has many peers, and is not told of one: core could not say whom it concerns. */
TEST(servers_are_not_told)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    QUIC_ADDR closed = addr("127.0.0.1", 1);
    CXPLAT_ROUTE route = route_to(d.server, &closed);
    for (unsigned i = 0; i < 20; i++) {
        send_pattern(d.server, &route, 100, i);
    }
    for (unsigned i = 0; i < 20; i++) {
        CHECK(duo_exchange(&d, 100, i) != NULL); /* and it still hears */
    }
    CHECK_EQ(inbox_count(&d.server_in, INBOX_UNREACHABLE), 0);
    duo_close(&d);
}

/* Datagrams that wait behind a pending error are not lost with it. */
TEST(a_refusal_does_not_hide_datagrams)
{
    struct duo d;
    REQUIRE(open_refused(&d, "127.0.0.1"));
    QUIC_ADDR client = socket_local(d.client);
    for (unsigned i = 1; i <= 50; i++) {
        send_pattern(d.client, &d.route, 10, i); /* refused */
        int fd = peer_udp(&d.address);
        CHECK(fd >= 0 && peer_send(fd, &client, &i, sizeof(i)));
        CHECK(inbox_wait(&d.client_in, INBOX_DATAGRAMS, i));
        close(fd);
    }
    CHECK(inbox_count(&d.client_in, INBOX_UNREACHABLE) > 0);
    duo_close(&d);
}

static bool add_network(void)
{
    QUIC_ADDR a = addr("10.78.0.1", 0);
    return link_add_veth("veth0", "veth1") && link_add_address("veth0", &a, 24) &&
           link_up("veth0") && link_up("veth1");
}

/* The way is gone before the send: ENETUNREACH comes at once, on the thread that sends. */
static pthread_t told_on;

static void note_thread(struct inbox *in, CXPLAT_SOCKET *socket, enum inbox_event event)
{
    (void)in, (void)socket;
    if (event == INBOX_UNREACHABLE) {
        told_on = pthread_self();
    }
}

TEST(a_network_that_is_gone_is_told_at_once)
{
    struct rig rig;
    struct inbox in;
    REQUIRE(add_network());
    REQUIRE(rig_open(&rig, 1));
    inbox_init(&in, &rig);
    in.on_other = note_thread;
    QUIC_ADDR remote = addr("10.78.0.99", 4433);
    CXPLAT_SOCKET *socket = rig_udp(&rig, &in, NULL, &remote);
    CXPLAT_ROUTE route = route_of(socket);
    CHECK(link_delete("veth0"));
    send_pattern(socket, &route, 100, 1);
    CHECK_EQ(inbox_count(&in, INBOX_UNREACHABLE), 1);
    CHECK(pthread_equal(told_on, pthread_self()));
    CHECK_ADDR(&in.unreachable, &remote);
    rig_delete(socket, &in);
    rig_close(&rig);
    inbox_free(&in);
}

/* ---- too big ---- */

/* Core probes the path: what does not fit vanishes, and is never fragmented. */
static void try_too_big(const char *ip, uint16_t fits)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, ip));
    CHECK(link_set_mtu("lo", 1500));
    struct msquicxdp_counters before = counters_now();
    send_pattern(d.client, &d.route, (uint16_t)(fits + 1), 1);
    send_pattern(d.client, &d.route, 9000, 2);
    send_pattern(d.client, &d.route, fits, 3);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    const struct mail *m = inbox_mail(&d.server_in, 0);
    CHECK(m != NULL && m->length == fits && pattern_holds(m->data, fits, 3));
    CHECK_EQ(inbox_count(&d.client_in, INBOX_UNREACHABLE), 0);
    struct msquicxdp_counters after = counters_now();
    CHECK_EQ(after.tx_failed - before.tx_failed, 2);
    CHECK(send_batch(d.client, &d.route, 3, (uint16_t)(fits + 1), 10)); /* a batch of such, too */
    CHECK(send_batch(d.client, &d.route, 3, fits, 20));
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 4));
    m = inbox_mail(&d.server_in, 1);
    CHECK(m != NULL && m->length == fits && pattern_holds(m->data, fits, 20));
    CHECK(link_set_mtu("lo", 65536));
    duo_close(&d);
}

TEST(datagrams_that_do_not_fit_are_lost_in_silence)
{
    try_too_big("127.0.0.1", 1472);
    try_too_big("::1", 1452);
}

/* What the kernel believes about a path is no business of core's, which finds out for itself. */
static void try_path(const char *ip)
{
    struct duo d;
    QUIC_ADDR local = addr(ip, 0);
    REQUIRE(link_add_local_route("lo", &local, 1280));
    REQUIRE(duo_open(&d, 1, local.Ip.sa_family == AF_INET ? "0.0.0.0" : "::"));
    QUIC_ADDR to = addr(ip, addr_port(&d.address));
    struct inbox in;
    inbox_init(&in, &d.rig);
    CXPLAT_SOCKET *client = rig_udp(&d.rig, &in, NULL, &to);
    CXPLAT_ROUTE route = route_of(client);
    send_pattern(client, &route, 1400, 1);
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    CHECK(send_batch(client, &route, 5, 1400, 2));
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 6));
    for (unsigned i = 0; i < 6; i++) {
        const struct mail *m = inbox_mail(&d.server_in, i);
        CHECK(m != NULL && m->length == 1400 && pattern_holds(m->data, 1400, i + 1));
    }
    rig_delete(client, &in);
    inbox_free(&in);
    duo_close(&d);
    CHECK(link_delete_local_route("lo", &local));
}

TEST(the_kernels_path_mtu_is_ignored)
{
    try_path("198.51.100.5");
    try_path("fd00:5::5");
}

/* ---- what sendmsg may answer ---- */

struct send_trick {
    struct duo d;
    unsigned calls;
    unsigned segmented; /* calls that asked for segmentation */
    unsigned fail_call; /* this one fails, 0 all that ask for segmentation; from 1 */
    int error;
    unsigned count; /* datagrams in each batch */
};

static bool asks_for_segments(const struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR((struct msghdr *)h, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == 103) {
            return true;
        }
    }
    return false;
}

static int64_t play(void *context, const uint64_t args[6])
{
    struct send_trick *t = context;
    bool segments = asks_for_segments((const struct msghdr *)(uintptr_t)args[1]);
    t->calls++;
    t->segmented += segments;
    bool fails = t->fail_call == 0 ? segments : t->calls == t->fail_call;
    return fails ? -t->error : INJECT_NOTHING;
}

static void send_ten(void *arg)
{
    struct send_trick *t = arg;
    for (uint32_t i = 0; i < 10; i++) {
        send_pattern(t->d.client, &t->d.route, 100, i);
    }
}

/* Ten sends, of which the third is refused: nine arrive, and nobody is told. */
TEST(other_errors_are_silent_losses)
{
    static const int errors[] = {EMSGSIZE, ENOBUFS, EPERM, EINVAL, EACCES, EIO, ENOMEM};
    for (unsigned k = 0; k < sizeof(errors) / sizeof(errors[0]); k++) {
        static struct send_trick t;
        t = (struct send_trick){.fail_call = 3, .error = errors[k]};
        REQUIRE(duo_open(&t.d, 1, "127.0.0.1"));
        struct msquicxdp_counters before = counters_now();
        CHECK(inject_run(SYS_sendmsg, play, &t, send_ten, &t));
        CHECK_EQ(t.calls, 10);
        CHECK(inbox_wait(&t.d.server_in, INBOX_DATAGRAMS, 9));
        const struct mail *m = inbox_mail(&t.d.server_in, 2);
        CHECK(m != NULL && pattern_holds(m->data, m->length, 3));
        CHECK_EQ(inbox_count(&t.d.client_in, INBOX_UNREACHABLE), 0);
        CHECK_EQ(counters_now().tx_failed - before.tx_failed, 1);
        duo_close(&t.d);
    }
}

TEST(unreachable_from_a_send_is_told_on_its_thread)
{
    static const int errors[] = {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH};
    for (unsigned k = 0; k < sizeof(errors) / sizeof(errors[0]); k++) {
        static struct send_trick t;
        t = (struct send_trick){.fail_call = 3, .error = errors[k]};
        REQUIRE(duo_open(&t.d, 1, "127.0.0.1"));
        CHECK(inject_run(SYS_sendmsg, play, &t, send_ten, &t));
        CHECK_EQ(inbox_count(&t.d.client_in, INBOX_UNREACHABLE), 1); /* without waiting */
        CHECK_ADDR(&t.d.client_in.unreachable, &t.d.address);
        CHECK(inbox_wait(&t.d.server_in, INBOX_DATAGRAMS, 9));
        duo_close(&t.d);
    }
}

/* ---- segmentation that is refused ---- */

static void send_two_batches(void *arg)
{
    struct send_trick *t = arg;
    send_batch(t->d.client, &t->d.route, t->count, 1000, 0);
    send_batch(t->d.client, &t->d.route, t->count, 1000, t->count);
}

static void check_arrivals(struct send_trick *t, unsigned n)
{
    CHECK(inbox_wait(&t->d.server_in, INBOX_DATAGRAMS, n));
    for (unsigned i = 0; i < n; i++) {
        const struct mail *m = inbox_mail(&t->d.server_in, i);
        if (CHECK(m != NULL)) {
            CHECK(m->length == 1000 && pattern_holds(m->data, 1000, i));
        }
    }
    CHECK_EQ(inbox_count(&t->d.server_in, INBOX_DATAGRAMS), n);
}

/* A device that cannot segment answers EIO: the batch goes out singly, later ones at once. */
TEST(a_batch_that_cannot_be_segmented_is_sent_singly)
{
    static struct send_trick t;
    t = (struct send_trick){.error = EIO, .count = 12};
    REQUIRE(duo_open(&t.d, 1, "127.0.0.1"));
    CHECK(inject_run(SYS_sendmsg, play, &t, send_two_batches, &t));
    check_arrivals(&t, 24);
    CHECK_EQ(t.segmented, 1);
    CHECK_EQ(t.calls, 25);
    duo_close(&t.d);
}

/* One after the other, and in the middle the kernel has no room: nothing twice, nothing lost. */
static int64_t play_singly(void *context, const uint64_t args[6])
{
    struct send_trick *t = context;
    t->calls++;
    if (asks_for_segments((const struct msghdr *)(uintptr_t)args[1])) {
        return -EIO;
    }
    return t->calls == t->fail_call ? -EAGAIN : INJECT_NOTHING;
}

TEST(single_datagrams_of_a_batch_wait_for_room)
{
    for (unsigned fail = 2; fail <= 13; fail++) {
        static struct send_trick t;
        t = (struct send_trick){.fail_call = fail, .count = 12};
        REQUIRE(duo_open(&t.d, 1, "127.0.0.1"));
        CHECK(inject_run(SYS_sendmsg, play_singly, &t, send_two_batches, &t));
        check_arrivals(&t, 24);
        duo_close(&t.d);
    }
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(a_refused_port_is_told),
    CASE(servers_are_not_told),
    CASE(a_refusal_does_not_hide_datagrams),
    CASE(a_network_that_is_gone_is_told_at_once),
    CASE(datagrams_that_do_not_fit_are_lost_in_silence),
    CASE(the_kernels_path_mtu_is_ignored),
    CASE(other_errors_are_silent_losses),
    CASE(unreachable_from_a_send_is_told_on_its_thread),
    CASE(a_batch_that_cannot_be_segmented_is_sent_singly),
    CASE(single_datagrams_of_a_batch_wait_for_room))
