/* SPDX-License-Identifier: MIT */
/*
 * liar_test.c - another process on the same queue that writes garbage wherever it can, while this one sends and receives:
 * it loses packets, and nothing else. The other is the liar of datapath/pool's own tests, MSQUICXDP_TEST_LIAR.
 */
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/process.h"
#include "host/wire.h"

enum { LIES_MS = 700, PATIENCE_US = 4000000 };

/* ---- the liar ---- */

static pid_t start_liar(const char *about)
{
    char scheme[600], said[8] = "";
    int out[2];
    snprintf(
        scheme, sizeof(scheme), "{\"Base\":\"%s\",\"Ifindex\":%u,\"About\":\"%s\",\"Seed\":%llu}",
        host_state_dir(), if_nametoindex(wire_end[0]), about, (unsigned long long)host_now_us());
    if (!CHECK_EQ(pipe(out), 0)) {
        return -1;
    }
    setenv("POOL_TEST_HOSTILE", scheme, 1);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        freopen("/dev/null", "w", stderr); /* it may well break down over its own lies */
        execl(getenv("MSQUICXDP_TEST_LIAR"), "liar", "-test.run=^$", (char *)NULL);
        _exit(1);
    }
    close(out[1]);
    CHECK_EQ(read(out[0], said, 4), 4);
    CHECK_EQ(strcmp(said, "lies"), 0);
    close(out[0]);
    return pid;
}

static void kill_liar(pid_t pid)
{
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

/* ---- this one ---- */

/* Whatever was received is of the socket's own port, and for a client from its server; and is good memory. */
static bool on_receive(struct inbox *in, CXPLAT_SOCKET *socket, CXPLAT_RECV_DATA *chain)
{
    QUIC_ADDR local = socket_local(socket), remote = socket_remote(socket);
    (void)in;
    for (CXPLAT_RECV_DATA *data = chain; data != NULL; data = data->Next) {
        const CXPLAT_ROUTE *route = data->Route;
        volatile uint8_t sum = 0;
        CHECK_EQ(addr_port(&route->LocalAddress), addr_port(&local));
        if (remote.Ip.sa_family != AF_UNSPEC) {
            CHECK_EQ(addr_port(&route->RemoteAddress), addr_port(&remote));
        }
        for (unsigned i = 0; i < data->BufferLength; i++) {
            sum = (uint8_t)(sum + data->Buffer[i]);
        }
    }
    return false; /* the inbox checks the rest, and returns it */
}

static bool open_host(struct duo *d)
{
    memset(d, 0, sizeof(*d));
    if (!rig_open(&d->rig, 2)) {
        return false;
    }
    inbox_init(&d->server_in, &d->rig);
    inbox_init(&d->client_in, &d->rig);
    inbox_init(&d->accepted_in, &d->rig);
    d->server_in.raw = d->client_in.raw = true;
    d->server_in.no_copies = d->client_in.no_copies = true;
    d->server_in.on_receive = d->client_in.on_receive = on_receive;
    d->server = rig_udp_flags(
        &d->rig, &d->server_in, NULL, NULL,
        (CXPLAT_SOCKET_FLAGS)(CXPLAT_SOCKET_FLAG_XDP | CXPLAT_SOCKET_SERVER_OWNED));
    QUIC_ADDR local = socket_local(d->server);
    d->address = addr(wire_ip4[0], addr_port(&local));
    d->client = rig_udp_flags(&d->rig, &d->client_in, NULL, &d->address, CXPLAT_SOCKET_FLAG_XDP);
    d->route = duo_resolved(d);
    return check_failures() == 0;
}

/* Some datagrams each way, and a socket that comes and goes. */
static void send_some(struct duo *d, uint32_t round)
{
    QUIC_ADDR client = socket_local(d->client);
    CXPLAT_ROUTE there = d->route;
    CXPLAT_ROUTE back = {.RemoteAddress = client, .LocalAddress = d->address};
    uint64_t begun = host_now_us();
    CHECK(send_batch(d->client, &there, 10, 1200, round));
    if (CxPlatResolveRoute(d->server, &back, 0, NULL, NULL) == QUIC_STATUS_SUCCESS) {
        CHECK(send_batch(d->server, &back, 10, 900, round));
    }
    if (round % 16 == 0) {
        struct inbox in;
        inbox_init(&in, &d->rig);
        in.raw = in.no_copies = true;
        rig_delete(rig_udp_flags(&d->rig, &in, NULL, &d->address, CXPLAT_SOCKET_FLAG_XDP), &in);
        inbox_free(&in);
        counters_now();
    }
    CHECK_LE(host_now_us() - begun, PATIENCE_US);
}

static void endure(struct duo *d)
{
    uint64_t end = host_now_us() + 1000 * LIES_MS;
    for (uint32_t round = 0; host_now_us() < end; round++) {
        send_some(d, round);
        usleep(500);
    }
}

/* Datagrams arrive, both ways, by whatever way: before that some may be lost. */
static bool flows(struct duo *d)
{
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    uint64_t server = inbox_count(&d->server_in, INBOX_DATAGRAMS) + 100;
    uint64_t client = inbox_count(&d->client_in, INBOX_DATAGRAMS) + 100;
    for (uint32_t round = 1; host_remaining_ms(&deadline) > 0; round++) {
        send_some(d, round);
        if (inbox_wait_ms(&d->server_in, INBOX_DATAGRAMS, server, 10) &&
            inbox_wait_ms(&d->client_in, INBOX_DATAGRAMS, client, 10)) {
            return true;
        }
    }
    return false;
}

/* Some lies are over with the liar. Others ruin rings, for as long as anybody is in the pool. */
static void lied_to(const char *about, bool heals)
{
    struct duo d;
    if (getenv("MSQUICXDP_TEST_LIAR") == NULL) {
        SKIP("MSQUICXDP_TEST_LIAR names no program; ctest does");
    }
    REQUIRE(CHECK(wire_open()) && open_host(&d));
    CHECK(flows(&d));
    pid_t liar = start_liar(about);
    endure(&d);
    kill_liar(liar);
    if (heals) {
        CHECK(flows(&d));
    }
    duo_close(&d);
    REQUIRE(open_host(&d)); /* all have left the pool: this one is new */
    CHECK(flows(&d));
    duo_close(&d);
    CHECK(wire_close());
}

TEST(about_packets)
{
    lied_to("packets", true);
}

TEST(about_control)
{
    lied_to("control", true);
}

TEST(about_flights)
{
    lied_to("flights", true);
}

TEST(about_completion)
{
    lied_to("completion", false);
}

TEST(about_fill)
{
    lied_to("fill", false);
}

TEST(about_its_own_rings)
{
    lied_to("own rings", false);
}

TEST(about_the_rings_of_others)
{
    lied_to("other rings", false);
}

TEST(in_words)
{
    lied_to("words", true);
}

TEST(about_everything)
{
    lied_to("everything", false);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(about_packets),
    CASE(about_control),
    CASE(about_flights),
    CASE(about_completion),
    CASE(about_fill),
    CASE(about_its_own_rings),
    CASE(about_the_rings_of_others),
    CASE(in_words),
    CASE(about_everything))
