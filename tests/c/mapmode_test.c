/* SPDX-License-Identifier: MIT */
/* mapmode_test.c - map mode: the application has the XDP program, and the archive only fills its maps. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/link.h"
#include "host/memory.h"
#include "host/peer.h"
#include "host/redirect.h"
#include "host/wire.h"

enum { SERVER_PORT = 4433, CLIENT_PORT = 5544, ENTRIES = 4 };

/* What the application has: a program and a map at each end of a wire. */
struct application {
    struct redirect end[2];
    CXPLAT_XDP_MAP_CONFIG config[2];
};

static bool application_open(struct application *a)
{
    static const uint16_t port[2] = {SERVER_PORT, CLIENT_PORT};
    if (!CHECK(wire_open())) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (!CHECK(redirect_open(&a->end[i], wire_end[i], port[i], ENTRIES))) {
            return false;
        }
        a->config[i].InterfaceIndex = if_nametoindex(wire_end[i]);
        a->config[i].MapHandle = a->end[i].map;
    }
    return true;
}

/* The maps are still the application's. */
static void application_close(struct application *a)
{
    for (int i = 0; i < 2; i++) {
        CHECK(fcntl(a->end[i].map, F_GETFD) >= 0);
        redirect_close(&a->end[i]);
    }
    CHECK(wire_close());
}

/* A server and a client in map mode, and what the application has for them. */
struct pair {
    struct application application;
    struct duo duo;
};

static void inboxes(struct duo *d)
{
    inbox_init(&d->server_in, &d->rig);
    inbox_init(&d->client_in, &d->rig);
    inbox_init(&d->accepted_in, &d->rig);
    d->server_in.raw = d->client_in.raw = true;
}

static bool open_pair(struct pair *p, const char *server_ip, const char *client_ip)
{
    struct duo *d = &p->duo;
    memset(p, 0, sizeof(*p));
    if (!application_open(&p->application) ||
        !rig_open_maps(&d->rig, 2, p->application.config, 2)) {
        return false;
    }
    inboxes(d);
    d->address = addr(server_ip, SERVER_PORT);
    QUIC_ADDR any = addr("::", SERVER_PORT), mine = addr(client_ip, CLIENT_PORT);
    d->server = rig_udp(&d->rig, &d->server_in, &any, NULL);
    d->client = rig_udp(&d->rig, &d->client_in, &mine, &d->address);
    return d->server != NULL && d->client != NULL;
}

static void close_pair(struct pair *p)
{
    duo_close(&p->duo);
    application_close(&p->application);
}

/* There, and back on the way that it came. */
static void exchange(const char *server_ip, const char *client_ip)
{
    struct pair p;
    REQUIRE(open_pair(&p, server_ip, client_ip));
    struct duo *d = &p.duo;
    d->server_in.keep = true;
    CXPLAT_ROUTE route = duo_resolved(d);
    CHECK(send_batch(d->client, &route, 10, 1200, 1));
    REQUIRE(CHECK(inbox_wait(&d->server_in, INBOX_DATAGRAMS, 10)));
    CXPLAT_ROUTE back = {0};
    QuicCopyRouteInfo(&back, d->server_in.kept->Route);
    CHECK_EQ(addr_port(&back.RemoteAddress), CLIENT_PORT);
    CHECK_EQ(CxPlatResolveRoute(d->server, &back, 0, NULL, NULL), QUIC_STATUS_SUCCESS);
    CHECK(send_pattern(d->server, &back, 301, 8));
    REQUIRE(CHECK(inbox_wait(&d->client_in, INBOX_DATAGRAMS, 1)));
    CHECK_EQ(inbox_mail(&d->client_in, 0)->length, 301);
    close_pair(&p);
}

TEST(datagrams_of_ipv4)
{
    exchange(wire_ip4[0], wire_ip4[1]);
}

TEST(datagrams_of_ipv6)
{
    exchange(wire_ip6[0], wire_ip6[1]);
}

TEST(it_has_no_rules_and_says_nothing_unasked)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    CXPLAT_DATAPATH *datapath = p.duo.rig.datapath;
    CHECK_EQ(CxPlatDataPathGetXdpRuleCount(datapath), 0);
    CHECK_EQ(
        CxPlatDataPathGetSupportedFeatures(datapath, CXPLAT_SOCKET_FLAG_NONE),
        CXPLAT_DATAPATH_FEATURE_NONE);
    unsigned want = CXPLAT_DATAPATH_FEATURE_RAW | CXPLAT_DATAPATH_FEATURE_TTL |
                    CXPLAT_DATAPATH_FEATURE_SEND_DSCP | CXPLAT_DATAPATH_FEATURE_RECV_DSCP;
    CHECK_EQ(CxPlatDataPathGetSupportedFeatures(datapath, CXPLAT_SOCKET_FLAG_XDP), want);
    CHECK(CxPlatSocketRawSocketAvailable(p.duo.server));
    CHECK(!CxPlatDataPathIsPaddingPreferred(datapath, NULL));
    close_pair(&p);
}

/* ---- sockets ---- */

static void refused(struct pair *p, const CXPLAT_UDP_CONFIG *config, QUIC_STATUS want)
{
    CXPLAT_SOCKET *socket = (CXPLAT_SOCKET *)(uintptr_t)0x5a5a;
    CHECK_REFUSED(CxPlatSocketCreateUdp(p->duo.rig.datapath, config, &socket), want);
    CHECK(socket == NULL);
}

TEST(addresses_that_nobody_can_complete)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    QUIC_ADDR no_port = addr(wire_ip4[1], 0), no_ip = addr("0.0.0.0", 999);
    QUIC_ADDR other_family = addr(wire_ip6[1], 999), good = addr(wire_ip4[1], 999);
    CXPLAT_UDP_CONFIG config = {0};
    refused(&p, &config, QUIC_STATUS_INVALID_PARAMETER);
    config.LocalAddress = &no_port;
    refused(&p, &config, QUIC_STATUS_INVALID_PARAMETER);
    config.RemoteAddress = &p.duo.address;
    refused(&p, &config, QUIC_STATUS_INVALID_PARAMETER);
    config.LocalAddress = &no_ip;
    refused(&p, &config, QUIC_STATUS_INVALID_PARAMETER);
    config.LocalAddress = &other_family;
    refused(&p, &config, QUIC_STATUS_INVALID_ADDRESS);
    config.LocalAddress = &good;
    config.InterfaceIndex = 1;
    refused(&p, &config, QUIC_STATUS_NOT_SUPPORTED);
    config.InterfaceIndex = 0;
    config.Flags = CXPLAT_SOCKET_FLAG_QTIP;
    refused(&p, &config, QUIC_STATUS_INVALID_STATE);
    close_pair(&p);
}

/* No kernel tells them apart: the datapath does. */
TEST(one_datagram_has_one_receiver)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    QUIC_ADDR server = addr("::", SERVER_PORT), client = addr(wire_ip4[1], CLIENT_PORT);
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &server};
    refused(&p, &config, QUIC_STATUS_ADDRESS_IN_USE);
    server = addr(wire_ip4[0], SERVER_PORT);
    refused(&p, &config, QUIC_STATUS_ADDRESS_IN_USE);
    config.LocalAddress = &client;
    config.RemoteAddress = &p.duo.address;
    refused(&p, &config, QUIC_STATUS_ADDRESS_IN_USE);
    QUIC_ADDR elsewhere = addr(wire_ip4[0], SERVER_PORT + 1);
    config.RemoteAddress = &elsewhere;
    config.CallbackContext = &p.duo.accepted_in;
    CXPLAT_SOCKET *socket = NULL;
    CHECK_OK(CxPlatSocketCreateUdp(p.duo.rig.datapath, &config, &socket));
    CxPlatSocketDelete(socket);
    close_pair(&p);
}

TEST(there_is_no_tcp)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    CXPLAT_SOCKET *socket = NULL;
    CHECK_REFUSED(
        CxPlatSocketCreateTcp(p.duo.rig.datapath, NULL, &p.duo.address, NULL, &socket),
        QUIC_STATUS_NOT_SUPPORTED);
    CHECK_REFUSED(
        CxPlatSocketCreateTcpListener(p.duo.rig.datapath, NULL, NULL, &socket),
        QUIC_STATUS_NOT_SUPPORTED);
    close_pair(&p);
}

/* ---- ways ---- */

static void count_failure(
    void *Context, const uint8_t *PhysicalAddress, uint8_t PathId, BOOLEAN Succeeded)
{
    CHECK(PhysicalAddress == NULL && PathId == 7 && !Succeeded);
    ++*(unsigned *)Context;
}

/* Nothing falls back to the kernel, not even loopback. */
TEST(a_way_that_leads_elsewhere_is_an_error)
{
    static const char *const elsewhere[] = {"127.0.0.1", "203.0.113.1", "::1"};
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    for (unsigned i = 0; i < 3; i++) {
        unsigned failures = 0;
        CXPLAT_ROUTE route = {.RemoteAddress = addr(elsewhere[i], 443)};
        route.LocalAddress = addr(i == 2 ? "::" : "0.0.0.0", SERVER_PORT);
        CHECK_REFUSED(
            CxPlatResolveRoute(p.duo.server, &route, 7, &failures, count_failure),
            QUIC_STATUS_NOT_FOUND);
        CHECK_EQ(failures, 1);
        CHECK_EQ(route.State, RouteUnresolved);
    }
    close_pair(&p);
}

TEST(what_has_no_way_is_dropped_and_counted)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    uint64_t before = counters_now().tx_failed;
    CXPLAT_ROUTE route = {
        .RemoteAddress = p.duo.address, .LocalAddress = socket_local(p.duo.client)};
    CHECK(send_pattern(p.duo.client, &route, 100, 1));
    CHECK_EQ(counters_now().tx_failed, before + 1);
    close_pair(&p);
}

/* ---- beginning ---- */

static void init_refused(const CXPLAT_XDP_MAP_CONFIG *maps, uint32_t count)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    CXPLAT_DATAPATH_INIT_CONFIG config = {.XdpMapConfigs = maps, .XdpMapConfigCount = count};
    CXPLAT_DATAPATH *datapath = (CXPLAT_DATAPATH *)(uintptr_t)0x5a5a;
    CHECK_REFUSED(
        CxPlatDataPathInitialize(0, &inbox_udp, NULL, pool, &config, &datapath),
        QUIC_STATUS_NOT_SUPPORTED);
    CHECK(datapath == NULL);
    CHECK_EQ(host_pool_refs(pool), 0);
    host_pool_delete(pool);
}

/* What is refused at one end has left nothing at the other: a good configuration works afterwards. */
TEST(maps_that_cannot_be_used)
{
    struct application a;
    REQUIRE(application_open(&a));
    int array = redirect_map(BPF_MAP_TYPE_ARRAY, ENTRIES);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int bad[] = {-1, 1 << 20, array, null, a.end[1].program, a.end[0].map};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CXPLAT_XDP_MAP_CONFIG maps[2] = {a.config[0], a.config[1]};
        maps[1].MapHandle = bad[i];
        init_refused(maps, 2);
    }
    CXPLAT_XDP_MAP_CONFIG loopback = {.InterfaceIndex = if_nametoindex("lo"), .MapHandle = array};
    init_refused(&loopback, 1);
    close(array);
    close(null);
    struct rig rig;
    CHECK(rig_open_maps(&rig, 1, a.config, 2));
    rig_close(&rig);
    CHECK(link_down(wire_end[1]));
    init_refused(a.config, 2);
    application_close(&a);
}

/* A map has one socket for each queue; a datapath that has it keeps it. */
TEST(a_map_is_of_one_datapath)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    init_refused(p.application.config, 2);
    CXPLAT_ROUTE route = duo_resolved(&p.duo);
    CHECK(send_batch(p.duo.client, &route, 3, 1200, 1));
    CHECK(inbox_wait(&p.duo.server_in, INBOX_DATAGRAMS, 3));
    duo_close(&p.duo);
    struct rig next;
    CHECK(rig_open_maps(&next, 1, p.application.config, 2));
    rig_close(&next);
    application_close(&p.application);
}

/* With a map of its own another datapath has the same queue. The first of two maps counts. */
TEST(datapaths_share_a_queue_by_maps_of_their_own)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    CXPLAT_XDP_MAP_CONFIG maps[2] = {p.application.config[0], p.application.config[0]};
    maps[0].MapHandle = redirect_map(BPF_MAP_TYPE_XSKMAP, ENTRIES);
    struct rig other;
    CHECK(rig_open_maps(&other, 1, maps, 2));
    CXPLAT_ROUTE route = duo_resolved(&p.duo);
    CHECK(send_batch(p.duo.client, &route, 3, 1200, 1));
    CHECK(inbox_wait(&p.duo.server_in, INBOX_DATAGRAMS, 3));
    rig_close(&other);
    CHECK(send_batch(p.duo.client, &route, 3, 1200, 1));
    CHECK(inbox_wait(&p.duo.server_in, INBOX_DATAGRAMS, 6));
    close(maps[0].MapHandle);
    close_pair(&p);
}

TEST(interfaces_that_do_not_exist_are_left_out)
{
    struct application a;
    REQUIRE(application_open(&a));
    CXPLAT_XDP_MAP_CONFIG maps[4] = {
        {0xdead, -1}, {0xbeef, 0x2222}, a.config[0], {0xffffffff, 0x3333}};
    struct rig rig;
    CHECK(rig_open_maps(&rig, 1, maps, 4));
    rig_close(&rig);
    CHECK(rig_open_maps(&rig, 1, maps, 2)); /* there is an interface: it could be served */
    rig_close(&rig);
    application_close(&a);
}

/* ---- memory that cannot be had, at every point where it is asked for ---- */

enum { MOST = 100 }; /* allocations that an operation may need */

static bool init_with_failure(struct application *a, unsigned n)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(2, NULL);
    CXPLAT_DATAPATH_INIT_CONFIG config = {.XdpMapConfigs = a->config, .XdpMapConfigCount = 2};
    CXPLAT_DATAPATH *datapath = NULL;
    host_fail_nth(HOST_ALL_THREADS, n);
    QUIC_STATUS status = CxPlatDataPathInitialize(0, &inbox_udp, NULL, pool, &config, &datapath);
    bool hit = host_fail_off(HOST_ALL_THREADS) != 0;
    if (hit) {
        CHECK_REFUSED(status, QUIC_STATUS_OUT_OF_MEMORY);
        CHECK(datapath == NULL);
        CHECK_EQ(host_pool_refs(pool), 0);
    } else if (CHECK_OK(status)) {
        CxPlatDataPathUninitialize(datapath);
    }
    host_pool_delete(pool);
    return hit;
}

TEST(a_datapath_without_memory)
{
    struct application a;
    REQUIRE(application_open(&a));
    unsigned n = 1;
    while (n < MOST && init_with_failure(&a, n)) {
        n++;
    }
    CHECK(n > 1 && n < MOST);
    application_close(&a);
}

static bool socket_with_failure(struct pair *p, unsigned n)
{
    QUIC_ADDR local = addr("::", 999);
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &local, .CallbackContext = &p->duo.accepted_in};
    CXPLAT_SOCKET *socket = NULL;
    host_fail_nth(HOST_ALL_THREADS, n);
    QUIC_STATUS status = CxPlatSocketCreateUdp(p->duo.rig.datapath, &config, &socket);
    bool hit = host_fail_off(HOST_ALL_THREADS) != 0;
    if (hit) {
        CHECK_REFUSED(status, QUIC_STATUS_OUT_OF_MEMORY);
        CHECK(socket == NULL);
    } else if (CHECK_OK(status)) {
        CxPlatSocketDelete(socket);
    }
    return hit;
}

TEST(a_socket_without_memory)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    unsigned n = 1;
    while (n < MOST && socket_with_failure(&p, n)) {
        n++;
    }
    CHECK(n > 1 && n < MOST);
    close_pair(&p);
}

/* An interface has one program: ours, or the application's. */
TEST(an_interface_is_in_map_mode_for_all_or_for_none)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    struct rig plain;
    REQUIRE(rig_open(&plain, 1));
    struct inbox in;
    inbox_init(&in, &plain);
    uint64_t before = counters_now().xdp_unavailable;
    CXPLAT_SOCKET *socket = rig_udp_flags(&plain, &in, NULL, NULL, CXPLAT_SOCKET_FLAG_XDP);
    CHECK(!CxPlatSocketRawSocketAvailable(socket));
    CHECK_EQ(counters_now().xdp_unavailable, before + 1);
    rig_delete(socket, &in);
    inbox_free(&in);
    rig_close(&plain);
    close_pair(&p);
}

/* What the program does not redirect reaches nobody here. */
TEST(only_what_is_redirected_arrives)
{
    struct pair p;
    REQUIRE(open_pair(&p, wire_ip4[0], wire_ip4[1]));
    QUIC_ADDR local = addr("127.0.0.1", 0), to = addr("127.0.0.1", SERVER_PORT);
    int fd = peer_udp(&local);
    CHECK(peer_send(fd, &to, "x", 1));
    CXPLAT_ROUTE route = duo_resolved(&p.duo);
    CHECK(send_pattern(p.duo.client, &route, 100, 1));
    CHECK(inbox_wait(&p.duo.server_in, INBOX_DATAGRAMS, 1));
    CHECK_EQ(inbox_mail(&p.duo.server_in, 0)->length, 100);
    close(fd);
    close_pair(&p);
}

CHECK_MAIN(
    CASE(datagrams_of_ipv4),
    CASE(datagrams_of_ipv6),
    CASE(it_has_no_rules_and_says_nothing_unasked),
    CASE(addresses_that_nobody_can_complete),
    CASE(one_datagram_has_one_receiver),
    CASE(there_is_no_tcp),
    CASE(a_way_that_leads_elsewhere_is_an_error),
    CASE(what_has_no_way_is_dropped_and_counted),
    CASE(maps_that_cannot_be_used),
    CASE(a_map_is_of_one_datapath),
    CASE(datapaths_share_a_queue_by_maps_of_their_own),
    CASE(interfaces_that_do_not_exist_are_left_out),
    CASE(a_datapath_without_memory),
    CASE(a_socket_without_memory),
    CASE(an_interface_is_in_map_mode_for_all_or_for_none),
    CASE(only_what_is_redirected_arrives))
