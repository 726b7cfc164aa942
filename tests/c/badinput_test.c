/* SPDX-License-Identifier: MIT */
/* badinput_test.c - wrong arguments, to every function: an error that says why, never a crash. */
#include <string.h>

#include "host/duo.h"
#include "host/pattern.h"

/* What a callback of a refused resolution says. */
static unsigned refusals;

static void note_refusal(
    void *Context, const uint8_t *PhysicalAddress, uint8_t PathId, BOOLEAN Succeeded)
{
    CHECK(Context == &refusals);
    CHECK(PhysicalAddress == NULL);
    CHECK_EQ(PathId, 5);
    CHECK(!Succeeded);
    refusals++;
}

/* ---- datapaths ---- */

TEST(no_datapath)
{
    CXPLAT_DATAPATH_FEATURES features =
        CxPlatDataPathGetSupportedFeatures(NULL, CXPLAT_SOCKET_FLAG_NONE);
    CHECK_EQ(features, CXPLAT_DATAPATH_FEATURE_NONE);
    CHECK_EQ(CxPlatDataPathGetXdpRuleCount(NULL), 0);
    CHECK(!CxPlatDataPathIsPaddingPreferred(NULL, NULL));
    CxPlatDataPathUpdatePollingIdleTimeout(NULL, 1);
    CxPlatDataPathUninitialize(NULL);
}

TEST(a_client_context_that_cannot_be)
{
    static const uint32_t lengths[] = {UINT32_MAX, UINT32_MAX - 100, 1u << 31, 1u << 24};
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        CXPLAT_DATAPATH *datapath = NULL;
        QUIC_STATUS status =
            CxPlatDataPathInitialize(lengths[i], &inbox_udp, NULL, pool, NULL, &datapath);
        CHECK(status == QUIC_STATUS_INVALID_PARAMETER || status == QUIC_STATUS_OUT_OF_MEMORY);
        CHECK(datapath == NULL);
        CHECK(msquicxdp_last_reason(NULL, 0) > 0);
    }
    host_pool_delete(pool);
}

TEST(map_mode_without_maps)
{
    CXPLAT_WORKER_POOL *pool = host_pool_create(1, NULL);
    CXPLAT_DATAPATH_INIT_CONFIG config = {.XdpMapConfigCount = 3};
    CXPLAT_DATAPATH *datapath = NULL;
    CHECK_REFUSED(
        CxPlatDataPathInitialize(0, &inbox_udp, NULL, pool, &config, &datapath),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK(datapath == NULL);
    host_pool_delete(pool);
}

/* Sockets that live on when their datapath ends: core's fault, but nothing breaks. */
TEST(uninitialize_with_live_sockets)
{
    struct duo d;
    REQUIRE(duo_open(&d, 2, "127.0.0.1"));
    CxPlatDataPathUninitialize(d.rig.datapath);
    d.rig.datapath = NULL;
    CHECK(duo_exchange(&d, 100, 1) != NULL);
    duo_close(&d);
}

/* ---- making sockets ---- */

static void check_udp(CXPLAT_DATAPATH *datapath, const CXPLAT_UDP_CONFIG *config, QUIC_STATUS want)
{
    CXPLAT_SOCKET *socket = (CXPLAT_SOCKET *)(uintptr_t)0x5a5a;
    QUIC_STATUS status = CxPlatSocketCreateUdp(datapath, config, &socket);
    CHECK_REFUSED(status, want);
    if (QUIC_SUCCEEDED(status)) {
        CxPlatSocketDelete(socket);
    } else {
        CHECK(socket == NULL);
    }
}

TEST(no_arguments_for_sockets)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 1));
    CXPLAT_UDP_CONFIG config = {0};
    CXPLAT_SOCKET *socket = NULL;
    QUIC_ADDR remote = addr("127.0.0.1", 1);
    check_udp(NULL, &config, QUIC_STATUS_INVALID_PARAMETER);
    check_udp(rig.datapath, NULL, QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatSocketCreateUdp(rig.datapath, &config, NULL), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(CxPlatSocketCreateUdp(NULL, NULL, NULL), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatSocketCreateTcp(NULL, NULL, &remote, NULL, &socket), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatSocketCreateTcp(rig.datapath, NULL, NULL, NULL, &socket),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatSocketCreateTcp(rig.datapath, NULL, &remote, NULL, NULL),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatSocketCreateTcpListener(NULL, NULL, NULL, &socket), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatSocketCreateTcpListener(rig.datapath, NULL, NULL, NULL),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK(socket == NULL);
    rig_close(&rig);
}

TEST(sockets_without_callbacks)
{
    struct rig rig = {.pool = host_pool_create(1, NULL)};
    CXPLAT_UDP_CONFIG config = {0};
    CXPLAT_SOCKET *socket = NULL;
    QUIC_ADDR remote = addr("127.0.0.1", 1);
    CHECK_OK(CxPlatDataPathInitialize(0, NULL, NULL, rig.pool, NULL, &rig.datapath));
    check_udp(rig.datapath, &config, QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatSocketCreateTcp(rig.datapath, NULL, &remote, NULL, &socket),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatSocketCreateTcpListener(rig.datapath, NULL, NULL, &socket),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK(socket == NULL);
    rig_close(&rig);
}

static bool is_bad_address(QUIC_STATUS status)
{
    return CHECK(
               status == QUIC_STATUS_INVALID_PARAMETER || status == QUIC_STATUS_INVALID_ADDRESS) &&
           CHECK(msquicxdp_last_reason(NULL, 0) > 0);
}

TEST(families_that_are_none)
{
    static const sa_family_t families[] = {AF_UNIX, AF_NETLINK, 99, 65535};
    struct rig rig;
    REQUIRE(rig_open(&rig, 1));
    for (unsigned i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        CXPLAT_SOCKET *socket = NULL;
        QUIC_ADDR odd = addr("127.0.0.1", 4433), even = addr("127.0.0.1", 4433);
        odd.Ip.sa_family = families[i];
        CXPLAT_UDP_CONFIG local = {.LocalAddress = &odd};
        CXPLAT_UDP_CONFIG remote = {.RemoteAddress = &odd};
        CXPLAT_UDP_CONFIG both = {.LocalAddress = &odd, .RemoteAddress = &even};
        is_bad_address(CxPlatSocketCreateUdp(rig.datapath, &local, &socket));
        is_bad_address(CxPlatSocketCreateUdp(rig.datapath, &remote, &socket));
        is_bad_address(CxPlatSocketCreateUdp(rig.datapath, &both, &socket));
        is_bad_address(CxPlatSocketCreateTcp(rig.datapath, NULL, &odd, NULL, &socket));
        is_bad_address(CxPlatSocketCreateTcp(rig.datapath, &odd, &even, NULL, &socket));
        is_bad_address(CxPlatSocketCreateTcpListener(rig.datapath, &odd, NULL, &socket));
        CHECK(socket == NULL);
    }
    rig_close(&rig);
}

TEST(families_that_do_not_go_together)
{
    struct rig rig;
    REQUIRE(rig_open(&rig, 1));
    CXPLAT_SOCKET *socket = NULL;
    QUIC_ADDR v4 = addr("127.0.0.1", 0), v6 = addr("::1", 4433), unspec;
    memset(&unspec, 0, sizeof(unspec));
    CXPLAT_UDP_CONFIG config = {.LocalAddress = &v4, .RemoteAddress = &v6};
    check_udp(rig.datapath, &config, QUIC_STATUS_INVALID_ADDRESS);
    CHECK_REFUSED(
        CxPlatSocketCreateTcp(rig.datapath, &v4, &v6, NULL, &socket), QUIC_STATUS_INVALID_ADDRESS);
    config = (CXPLAT_UDP_CONFIG){.RemoteAddress = &unspec};
    is_bad_address(CxPlatSocketCreateUdp(rig.datapath, &config, &socket));
    is_bad_address(CxPlatSocketCreateTcp(rig.datapath, NULL, &unspec, NULL, &socket));
    CHECK(socket == NULL);
    rig_close(&rig);
}

TEST(flags_and_identifiers_that_are_none)
{
    static const unsigned flags[] = {0x40, 0x80, 0x100, 0x7fffffff, 0x40000000};
    struct rig rig;
    REQUIRE(rig_open(&rig, 1));
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        CXPLAT_UDP_CONFIG config = {.Flags = (CXPLAT_SOCKET_FLAGS)flags[i]};
        check_udp(rig.datapath, &config, QUIC_STATUS_INVALID_PARAMETER);
    }
    CXPLAT_UDP_CONFIG config = {.CibirIdLength = 7};
    check_udp(rig.datapath, &config, QUIC_STATUS_INVALID_PARAMETER);
    config.CibirIdLength = 255;
    check_udp(rig.datapath, &config, QUIC_STATUS_INVALID_PARAMETER);
    rig_close(&rig);
}

TEST(no_socket)
{
    QUIC_ADDR address, before;
    memset(&address, 0x3c, sizeof(address));
    before = address;
    CXPLAT_ROUTE route = {0};
    CXPLAT_TCP_STATISTICS statistics;
    CxPlatSocketDelete(NULL);
    CxPlatSocketGetLocalAddress(NULL, &address);
    CxPlatSocketGetRemoteAddress(NULL, &address);
    CHECK(memcmp(&address, &before, sizeof(address)) == 0);
    uint16_t mtu = CxPlatSocketGetLocalMtu(NULL, NULL);
    CHECK(mtu > 0 && mtu <= CXPLAT_MAX_MTU);
    mtu = CxPlatSocketGetLocalMtu(NULL, &route);
    CHECK(mtu > 0 && mtu <= CXPLAT_MAX_MTU);
    CHECK(!CxPlatSocketRawSocketAvailable(NULL));
    CHECK(!CxPlatSocketGetQtipEnabled(NULL));
    CHECK(QUIC_FAILED(CxPlatSocketUpdateQeo(NULL, NULL, 1)));
    CHECK(QUIC_FAILED(CxPlatSocketGetTcpStatistics(NULL, &statistics)));
}

TEST(no_place_for_answers)
{
    struct duo d;
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    CxPlatSocketGetLocalAddress(d.client, NULL);
    CxPlatSocketGetRemoteAddress(d.client, NULL);
    CHECK(CxPlatSocketGetLocalMtu(d.client, NULL) == CXPLAT_MAX_MTU);
    CHECK(QUIC_FAILED(CxPlatSocketGetTcpStatistics(d.client, NULL)));
    CHECK(QUIC_FAILED(CxPlatSocketUpdateQeo(d.client, NULL, 5)));
    duo_close(&d);
}

/* ---- routes and received data ---- */

TEST(no_route)
{
    struct duo d;
    static const uint8_t mac[6] = {1};
    CXPLAT_ROUTE route;
    memset(&route, 0, sizeof(route));
    REQUIRE(duo_open(&d, 1, "127.0.0.1"));
    refusals = 0;
    CHECK_REFUSED(
        CxPlatResolveRoute(NULL, &route, 5, &refusals, note_refusal),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK_EQ(refusals, 1); /* a failure is told in both ways, or core keeps a reference for ever */
    CHECK_REFUSED(
        CxPlatResolveRoute(d.client, NULL, 5, &refusals, note_refusal),
        QUIC_STATUS_INVALID_PARAMETER);
    CHECK_EQ(refusals, 2);
    CHECK(QUIC_FAILED(CxPlatResolveRoute(NULL, NULL, 0, NULL, NULL)));
    CHECK_OK(CxPlatResolveRoute(d.client, &d.route, 0, NULL, NULL)); /* no callback is needed */
    CxPlatResolveRouteComplete(NULL, NULL, mac, 0);
    CxPlatResolveRouteComplete(NULL, &route, NULL, 0);
    CHECK_EQ(route.State, RouteUnresolved);
    CxPlatUpdateRoute(NULL, &route);
    CxPlatUpdateRoute(&route, NULL);
    QuicCopyRouteInfo(NULL, &route);
    QuicCopyRouteInfo(&route, NULL);
    CxPlatRecvDataReturn(NULL);
    duo_close(&d);
}

/* ---- hosts ---- */

TEST(no_place_for_addresses)
{
    QUIC_ADDR address = addr("127.0.0.1", 0), odd = address, *gateways = NULL;
    CXPLAT_ADAPTER_ADDRESS *list = NULL;
    uint32_t count = 3;
    odd.Ip.sa_family = 77;
    CHECK_REFUSED(
        CxPlatDataPathResolveAddress(NULL, NULL, &address), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(CxPlatDataPathResolveAddress(NULL, "::1", NULL), QUIC_STATUS_INVALID_PARAMETER);
    CHECK(QUIC_FAILED(CxPlatDataPathResolveAddress(NULL, "127.0.0.1", &odd)));
    CHECK_REFUSED(
        CxPlatDataPathGetLocalAddresses(NULL, NULL, &count), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatDataPathGetLocalAddresses(NULL, &list, NULL), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatDataPathGetGatewayAddresses(NULL, NULL, &count), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatDataPathGetGatewayAddresses(NULL, &gateways, NULL), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatDataPathGetLocalAddressForRemote(NULL, &address), QUIC_STATUS_INVALID_PARAMETER);
    CHECK_REFUSED(
        CxPlatDataPathGetLocalAddressForRemote(&address, NULL), QUIC_STATUS_INVALID_PARAMETER);
    is_bad_address(CxPlatDataPathGetLocalAddressForRemote(&odd, &address));
    CHECK(list == NULL && gateways == NULL);
    CHECK(QUIC_FAILED(CxPlatDataPathRssConfigGet(1, NULL)));
    CxPlatDataPathRssConfigFree(NULL);
}

__attribute__((constructor)) static void prepare(void)
{
    check_warm_up = rig_warm_up;
}

CHECK_MAIN(
    CASE(no_datapath),
    CASE(a_client_context_that_cannot_be),
    CASE(map_mode_without_maps),
    CASE(uninitialize_with_live_sockets),
    CASE(no_arguments_for_sockets),
    CASE(sockets_without_callbacks),
    CASE(families_that_are_none),
    CASE(families_that_do_not_go_together),
    CASE(flags_and_identifiers_that_are_none),
    CASE(no_socket),
    CASE(no_place_for_answers),
    CASE(no_route),
    CASE(no_place_for_addresses))
