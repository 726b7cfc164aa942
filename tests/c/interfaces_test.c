/* SPDX-License-Identifier: MIT */
/* interfaces_test.c - what AF_XDP may be used for, and interfaces and namespaces that come and go under a datapath. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/link.h"
#include "host/peer.h"
#include "host/wire.h"

/* ---- the log, as what tells a test that something has happened ---- */

struct journal {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char text[8192];
};

static struct journal journal = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void write_down(void *context, enum msquicxdp_level level, const char *message)
{
    (void)level;
    struct journal *j = context;
    pthread_mutex_lock(&j->lock);
    size_t used = strlen(j->text);
    snprintf(j->text + used, sizeof(j->text) - used, "%s\n", message);
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

static void journal_open(void)
{
    struct msquicxdp_log_options o = {
        .size = sizeof(o), .log = write_down, .context = &journal, .level = MSQUICXDP_LEVEL_INFO};
    host_cond_init(&journal.changed);
    journal.text[0] = '\0';
    CHECK_EQ(msquicxdp_set_log(&o), 0);
}

/* Waits until the log has a line with these words. */
static bool journal_has(const char *words)
{
    struct timespec deadline = host_deadline(HOST_DEADLINE_MS);
    bool found = false, in_time = true;
    pthread_mutex_lock(&journal.lock);
    while (!(found = strstr(journal.text, words) != NULL) && in_time) {
        in_time = host_cond_wait(&journal.changed, &journal.lock, &deadline);
    }
    if (!found) {
        fprintf(stderr, "no \"%s\" in the log:\n%s", words, journal.text);
    }
    pthread_mutex_unlock(&journal.lock);
    return found;
}

static void journal_close(void)
{
    CHECK_EQ(msquicxdp_set_log(NULL), 0);
    pthread_mutex_lock(&journal.lock); /* a call of the hook may still be running */
    pthread_mutex_unlock(&journal.lock);
}

/* ---- options ---- */

static bool last_reason_has(const char *words)
{
    char reason[512];
    msquicxdp_last_reason(reason, sizeof(reason));
    bool has = strstr(reason, words) != NULL;
    if (!has) {
        fprintf(stderr, "no \"%s\" in the last reason: %s\n", words, reason);
    }
    return has;
}

/* A wrong value in the environment ends the datapath's making, with its name. */
static void refuse_environment(const char *variable, const char *value)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    CXPLAT_DATAPATH_INIT_CONFIG config = {0};
    CXPLAT_DATAPATH *datapath = NULL;
    setenv(variable, value, 1);
    CHECK_REFUSED(
        CxPlatDataPathInitialize(
            RIG_CONTEXT_LENGTH, &inbox_udp, &inbox_tcp, pool, &config, &datapath),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK(last_reason_has(variable));
    CHECK(datapath == NULL);
    unsetenv(variable);
    host_pool_delete(pool);
}

TEST(wrong_environment_is_refused)
{
    refuse_environment("MSQUICXDP_XDP", "maybe");
    refuse_environment("MSQUICXDP_XDP_ATTACH", "Native");
    refuse_environment("MSQUICXDP_XDP_ZEROCOPY", "1");
    refuse_environment("MSQUICXDP_TRANSMIT", "fast");
    refuse_environment("MSQUICXDP_INTERFACES", "eth0, eth1");
    refuse_environment("MSQUICXDP_INTERFACES", "eth0,");
    refuse_environment("MSQUICXDP_INTERFACES_DENY", "a/b");
}

static void refuse_options(struct msquicxdp_xdp_options o, int error, const char *words)
{
    o.size = o.size == 0 ? sizeof(o) : o.size;
    CHECK_EQ(msquicxdp_set_xdp(&o), error);
    CHECK(last_reason_has(words));
}

TEST(wrong_options_are_refused)
{
    char long_list[600];
    memset(long_list, 'x', sizeof(long_list));
    long_list[sizeof(long_list) - 1] = '\0';
    refuse_options((struct msquicxdp_xdp_options){.size = 4}, -EINVAL, "size");
    refuse_options((struct msquicxdp_xdp_options){.policy = 4}, -EINVAL, "policy");
    refuse_options((struct msquicxdp_xdp_options){.attach = 4}, -EINVAL, "attach");
    refuse_options((struct msquicxdp_xdp_options){.zerocopy = 9}, -EINVAL, "zerocopy");
    refuse_options((struct msquicxdp_xdp_options){.transmit = 4}, -EINVAL, "transmit");
    refuse_options((struct msquicxdp_xdp_options){.interfaces = "a b"}, -EINVAL, "interfaces");
    refuse_options((struct msquicxdp_xdp_options){.deny = ",a"}, -EINVAL, "deny");
    refuse_options((struct msquicxdp_xdp_options){.deny = long_list}, -EINVAL, "longer");
    struct {
        struct msquicxdp_xdp_options known;
        uint64_t later;
    } newer = {.known = {.size = sizeof(newer)}, .later = 1};
    CHECK_EQ(msquicxdp_set_xdp(&newer.known), -E2BIG);
    newer.later = 0;
    CHECK_EQ(msquicxdp_set_xdp(&newer.known), 0);
    struct msquicxdp_xdp_options older = {.size = sizeof(size_t)};
    CHECK_EQ(msquicxdp_set_xdp(&older), 0);
    CHECK_EQ(msquicxdp_set_xdp(NULL), 0);
}

/* ---- policy ---- */

static bool open_with(struct duo *d, struct msquicxdp_xdp_options o, uint32_t workers)
{
    memset(d, 0, sizeof(*d));
    o.size = sizeof(o);
    bool ok = CHECK_EQ(msquicxdp_set_xdp(&o), 0) && rig_open(&d->rig, workers);
    inbox_init(&d->server_in, &d->rig);
    inbox_init(&d->client_in, &d->rig);
    inbox_init(&d->accepted_in, &d->rig);
    d->server_in.raw = d->client_in.raw = true;
    CHECK_EQ(msquicxdp_set_xdp(NULL), 0); /* a datapath keeps what it was made with */
    return ok;
}

static bool open_server(struct duo *d)
{
    d->server = rig_udp_flags(
        &d->rig, &d->server_in, NULL, NULL,
        (CXPLAT_SOCKET_FLAGS)(CXPLAT_SOCKET_FLAG_XDP | CXPLAT_SOCKET_SERVER_OWNED));
    return d->server != NULL;
}

static bool is_raw(const struct duo *d)
{
    return CxPlatSocketRawSocketAvailable(d->server);
}

TEST(require_fails_without_an_interface)
{
    struct duo d;
    uint64_t opened = counters_now().sockets_opened;
    REQUIRE(open_with(&d, (struct msquicxdp_xdp_options){.policy = MSQUICXDP_XDP_REQUIRE}, 1));
    CXPLAT_UDP_CONFIG config = {.Flags = CXPLAT_SOCKET_FLAG_XDP, .CallbackContext = &d.server_in};
    CXPLAT_SOCKET *socket = NULL;
    CHECK_REFUSED(
        CxPlatSocketCreateUdp(d.rig.datapath, &config, &socket), QUIC_STATUS_NOT_SUPPORTED);
    CHECK(last_reason_has("no interface is served by AF_XDP"));
    CHECK_EQ(counters_now().sockets_opened, opened);
    config.Flags = CXPLAT_SOCKET_FLAG_NONE; /* who does not ask is not concerned */
    if (CHECK_OK(CxPlatSocketCreateUdp(d.rig.datapath, &config, &socket))) {
        rig_delete(socket, &d.server_in);
    }
    journal_open();
    REQUIRE(CHECK(wire_open()));
    CHECK(journal_has("is served by AF_XDP"));
    journal_close();
    CHECK(open_server(&d) && is_raw(&d));
    duo_close(&d);
    CHECK(wire_close());
}

TEST(prefer_is_counted_and_said_once)
{
    struct duo d;
    uint64_t before = counters_now().xdp_unavailable;
    journal_open();
    REQUIRE(open_with(&d, (struct msquicxdp_xdp_options){.policy = MSQUICXDP_XDP_PREFER}, 1));
    CHECK(open_server(&d) && !is_raw(&d));
    CHECK_EQ(counters_now().xdp_unavailable, before + 1);
    CHECK(journal_has("XDP was asked for, and the socket works over the kernel: "));
    duo_close(&d);
    journal_close();
}

TEST(never_is_as_if_not_asked)
{
    struct duo d;
    uint64_t before = counters_now().xdp_unavailable;
    REQUIRE(CHECK(wire_open()));
    setenv("MSQUICXDP_XDP", "never", 1);
    REQUIRE(open_with(&d, (struct msquicxdp_xdp_options){0}, 1));
    unsetenv("MSQUICXDP_XDP");
    CHECK(open_server(&d) && !is_raw(&d));
    CHECK_EQ(counters_now().xdp_unavailable, before);
    CHECK_EQ(CxPlatDataPathGetXdpRuleCount(d.rig.datapath), 0);
    CHECK(
        !(CxPlatDataPathGetSupportedFeatures(d.rig.datapath, CXPLAT_SOCKET_FLAG_XDP) &
          CXPLAT_DATAPATH_FEATURE_RAW));
    duo_close(&d);
    CHECK(wire_close());
}

/* What a program sets goes before the environment. */
TEST(lists_choose_interfaces)
{
    struct duo d;
    REQUIRE(CHECK(wire_open()));
    setenv("MSQUICXDP_INTERFACES", "nothing", 1);
    REQUIRE(open_with(&d, (struct msquicxdp_xdp_options){.interfaces = "duo*", .deny = "*2"}, 1));
    CHECK(open_server(&d) && is_raw(&d));
    CHECK_EQ(CxPlatDataPathGetXdpRuleCount(d.rig.datapath), 1); /* of two interfaces */
    duo_close(&d);
    REQUIRE(open_with(&d, (struct msquicxdp_xdp_options){0}, 1));
    unsetenv("MSQUICXDP_INTERFACES");
    CHECK(open_server(&d) && !is_raw(&d));
    duo_close(&d);
    CHECK(wire_close());
}

/* ---- interfaces that come and go ---- */

/* One datagram from a new client, by AF_XDP both ways. */
static void exchange_raw(struct duo *d, uint32_t seed)
{
    QUIC_ADDR local = socket_local(d->server);
    d->address = addr(wire_ip4[0], addr_port(&local));
    d->client = rig_udp_flags(&d->rig, &d->client_in, NULL, &d->address, CXPLAT_SOCKET_FLAG_XDP);
    REQUIRE(d->client != NULL);
    CXPLAT_ROUTE route = {.RemoteAddress = d->address, .LocalAddress = socket_local(d->client)};
    CHECK_EQ(CxPlatResolveRoute(d->client, &route, 0, NULL, NULL), QUIC_STATUS_SUCCESS);
    CHECK_EQ(route.DatapathType, CXPLAT_DATAPATH_TYPE_RAW);
    inbox_clear(&d->server_in);
    d->server_in.keep = true;
    CHECK(send_pattern(d->client, &route, 500, seed));
    if (CHECK(inbox_wait(&d->server_in, INBOX_DATAGRAMS, 1))) {
        CXPLAT_RECV_DATA *data = inbox_take_kept(&d->server_in);
        CHECK_EQ(data->DatapathType, CXPLAT_DATAPATH_TYPE_RAW);
        CxPlatRecvDataReturn(data);
    }
    d->server_in.keep = false;
    rig_delete(d->client, &d->client_in);
    d->client = NULL;
    inbox_free(&d->client_in);
    inbox_init(&d->client_in, &d->rig);
    d->client_in.raw = true;
}

/* The kernel's socket serves all the time. */
static void exchange_on_loopback(struct duo *d)
{
    QUIC_ADDR mine = addr("127.0.0.1", 0), local = socket_local(d->server);
    QUIC_ADDR to = addr("127.0.0.1", addr_port(&local));
    int fd = peer_udp(&mine);
    inbox_clear(&d->server_in);
    CHECK(peer_send(fd, &to, "x", 1));
    CHECK(inbox_wait(&d->server_in, INBOX_DATAGRAMS, 1));
    close(fd);
}

/* The sockets were there before the interfaces, and stay when they go. */
static void come_and_go(uint32_t workers)
{
    struct duo d;
    REQUIRE(open_with(&d, (struct msquicxdp_xdp_options){0}, workers));
    CHECK(open_server(&d) && !is_raw(&d));
    exchange_on_loopback(&d);
    for (uint32_t round = 0; round < 3; round++) {
        journal_open();
        REQUIRE(CHECK(wire_open()));
        CHECK(journal_has("interface duo1 is served by AF_XDP: native mode, copy, 1/1 queues"));
        CHECK(journal_has("interface duo2 is served by AF_XDP: native mode, copy, 1/1 queues"));
        CHECK(is_raw(&d));
        CHECK_EQ(CxPlatDataPathGetXdpRuleCount(d.rig.datapath), 2);
        exchange_raw(&d, round);
        journal_close();
        journal_open();
        CHECK(wire_close());
        CHECK(journal_has("interface duo1 is not served by AF_XDP any more: "));
        CHECK(journal_has("interface duo2 is not served by AF_XDP any more: "));
        exchange_on_loopback(&d);
        journal_close();
    }
    CHECK_EQ(CxPlatDataPathGetXdpRuleCount(d.rig.datapath), 0);
    duo_close(&d);
}

TEST(interfaces_come_and_go)
{
    come_and_go(1);
}

TEST(interfaces_come_and_go_under_many_workers)
{
    come_and_go(4);
}

/* A route with the queue of an interface that has gone sends by the kernel, or nowhere, and harms nobody. */
TEST(a_queue_that_is_gone_harms_nobody)
{
    struct duo d;
    REQUIRE(CHECK(wire_open()));
    REQUIRE(open_with(&d, (struct msquicxdp_xdp_options){.transmit = MSQUICXDP_TRANSMIT_XDP}, 2));
    CHECK(open_server(&d) && is_raw(&d));
    QUIC_ADDR local = socket_local(d.server);
    d.address = addr(wire_ip4[0], addr_port(&local));
    d.client = rig_udp_flags(&d.rig, &d.client_in, NULL, &d.address, CXPLAT_SOCKET_FLAG_XDP);
    REQUIRE(d.client != NULL);
    CXPLAT_ROUTE route = {.RemoteAddress = d.address, .LocalAddress = socket_local(d.client)};
    CHECK_EQ(CxPlatResolveRoute(d.client, &route, 0, NULL, NULL), QUIC_STATUS_SUCCESS);
    CHECK(send_pattern(d.client, &route, 100, 1));
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    journal_open();
    CHECK(wire_close());
    for (unsigned i = 0; i < 1000; i++) { /* while it goes */
        CXPLAT_ROUTE stale = route;
        CHECK(send_pattern(d.client, &stale, 100, i));
    }
    CHECK(journal_has("interface duo2 is not served by AF_XDP any more: "));
    for (unsigned i = 0; i < 100; i++) { /* when it has gone */
        CXPLAT_ROUTE stale = route;
        CHECK(send_pattern(d.client, &stale, 100, i));
    }
    journal_close();
    exchange_on_loopback(&d);
    duo_close(&d);
}

/* ---- a namespace that nobody is in any more ---- */

/* Opens a datapath with a server in a new network namespace, which also has one end of a pair with home. */
static void *open_elsewhere(void *duo)
{
    struct duo *d = duo;
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(unshare(CLONE_NEWNET), 0);
    CHECK(link_up("lo") && wire_open());
    CHECK(link_add_veth("inside", "witness") && link_move("witness", home));
    CHECK(open_with(d, (struct msquicxdp_xdp_options){0}, 2) && open_server(d));
    close(home);
    return NULL;
}

/* It is there as long as the datapath, which serves on, and ends with it: what nobody closes would keep it. */
TEST(a_namespace_ends_with_its_datapath)
{
    struct duo d;
    pthread_t thread;
    REQUIRE(CHECK_EQ(pthread_create(&thread, NULL, open_elsewhere, &d), 0));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    REQUIRE(CHECK(d.server != NULL && is_raw(&d)));
    QUIC_ADDR local = socket_local(d.server);
    CXPLAT_ROUTE route = {
        .RemoteAddress = addr(wire_ip4[0], addr_port(&local)),
        .LocalAddress = addr(wire_ip4[1], addr_port(&local))};
    for (uint32_t i = 0; i < 100; i++) {
        CHECK_EQ(CxPlatResolveRoute(d.server, &route, 0, NULL, NULL), QUIC_STATUS_SUCCESS);
        CHECK_EQ(route.DatapathType, CXPLAT_DATAPATH_TYPE_RAW);
        CHECK(send_pattern(d.server, &route, 500, i));
        CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, i + 1));
    }
    CHECK(if_nametoindex("witness") != 0);
    duo_close(&d);
    CHECK(link_wait_gone("witness"));
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_start_runtime;
}

CHECK_MAIN(
    CASE(wrong_environment_is_refused),
    CASE(wrong_options_are_refused),
    CASE(require_fails_without_an_interface),
    CASE(prefer_is_counted_and_said_once),
    CASE(never_is_as_if_not_asked),
    CASE(lists_choose_interfaces),
    CASE(interfaces_come_and_go),
    CASE(interfaces_come_and_go_under_many_workers),
    CASE(a_queue_that_is_gone_harms_nobody),
    CASE(a_namespace_ends_with_its_datapath))
