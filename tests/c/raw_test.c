/* SPDX-License-Identifier: MIT */
/* raw_test.c - AF_XDP through the interface. */
#include <string.h>
#include <unistd.h>

#include "host/duo.h"
#include "host/peer.h"
#include "host/wire.h"

static void exchange(const char *ip, const char *own)
{
    struct duo d;
    REQUIRE(duo_open_raw(&d, 2, ip));
    QUIC_ADDR want = addr(own, 0), local = socket_local(d.client);
    CHECK(
        memcmp(&want.Ipv6.sin6_addr, &local.Ipv6.sin6_addr, 16) == 0 ||
        want.Ip.sa_family == AF_INET);
    CXPLAT_ROUTE route = duo_resolved(&d);
    CHECK(send_batch(d.client, &route, 10, 1200, 1));
    REQUIRE(CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 10)));
    for (unsigned i = 0; i < 10; i++) {
        const struct mail *m = inbox_mail(&d.server_in, i);
        CHECK(m != NULL && m->length == 1200 && m->ttl > 0);
        CHECK(m != NULL && addr_port(&m->from) == addr_port(&local));
    }
    duo_close_raw(&d);
}

TEST(datagrams_of_ipv4)
{
    exchange("192.168.1.11", "192.168.1.12");
}

TEST(datagrams_of_ipv6)
{
    exchange("fc00::1:11", "fc00::1:12");
}

/* A server answers by the route that the datagram came with, without asking for the way. */
TEST(an_answer_goes_back_the_way_it_came)
{
    struct duo d;
    REQUIRE(duo_open_raw(&d, 1, "192.168.1.11"));
    d.server_in.keep = true;
    CXPLAT_ROUTE route = duo_resolved(&d);
    CHECK(send_pattern(d.client, &route, 300, 7));
    REQUIRE(CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1)));
    CXPLAT_ROUTE back = {0};
    QuicCopyRouteInfo(&back, d.server_in.kept->Route);
    CHECK_EQ(d.server_in.kept->DatapathType, CXPLAT_DATAPATH_TYPE_RAW);
    CHECK_EQ(CxPlatResolveRoute(d.server, &back, 0, NULL, NULL), QUIC_STATUS_SUCCESS);
    CHECK(send_pattern(d.server, &back, 301, 8));
    REQUIRE(CHECK(inbox_wait(&d.client_in, INBOX_DATAGRAMS, 1)));
    CHECK_EQ(inbox_mail(&d.client_in, 0)->length, 301);
    duo_close_raw(&d);
}

/* Loopback never goes by AF_XDP: the kernel's socket of the same port serves it. */
TEST(loopback_is_the_kernels)
{
    struct duo d;
    REQUIRE(duo_open_raw(&d, 1, "192.168.1.11"));
    QUIC_ADDR mine = addr("127.0.0.1", 0), to = addr("127.0.0.1", addr_port(&d.address));
    int fd = peer_udp(&mine);
    CHECK(peer_send(fd, &to, "x", 1));
    CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 1));
    close(fd);
    duo_close_raw(&d);
}

/* What is deleted receives no more, by either way, and its rule goes with it. */
TEST(a_deleted_socket_leaves_no_rule)
{
    struct duo d;
    REQUIRE(duo_open_raw(&d, 1, "192.168.1.11"));
    uint32_t both = CxPlatDataPathGetXdpRuleCount(d.rig.datapath);
    rig_delete(d.client, &d.client_in);
    d.client = NULL;
    CHECK(CxPlatDataPathGetXdpRuleCount(d.rig.datapath) < both);
    rig_delete(d.server, &d.server_in);
    d.server = NULL;
    CHECK_EQ(CxPlatDataPathGetXdpRuleCount(d.rig.datapath), 0);
    duo_close_raw(&d);
}

static struct msquicxdp_xdp_counters xdp_counters_now(void)
{
    struct msquicxdp_xdp_counters c = {.size = sizeof(c)};
    CHECK_EQ(msquicxdp_get_xdp_counters(&c), 0);
    return c;
}

TEST(what_goes_by_af_xdp_is_counted)
{
    struct duo d;
    struct msquicxdp_counters before = counters_now();
    struct msquicxdp_xdp_counters none = xdp_counters_now();
    CHECK_EQ(none.redirected + none.rx_ring_full + none.not_ip, 0); /* no interface is served */
    REQUIRE(duo_open_raw(&d, 2, "192.168.1.11"));
    CXPLAT_ROUTE route = duo_resolved(&d);
    CHECK(send_batch(d.client, &route, 10, 1200, 1));
    REQUIRE(CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, 10)));
    struct msquicxdp_counters now = counters_now();
    CHECK_EQ(now.xdp_rx_datagrams - before.xdp_rx_datagrams, 10);
    CHECK_EQ(now.xdp_tx_datagrams - before.xdp_tx_datagrams, 10);
    CHECK_EQ(
        now.xdp_tx_no_room + now.xdp_tx_not_taken, before.xdp_tx_no_room + before.xdp_tx_not_taken);
    struct msquicxdp_xdp_counters kernel = xdp_counters_now();
    CHECK_EQ(kernel.redirected, 10);
    CHECK_EQ(kernel.rx_ring_full + kernel.rx_dropped + kernel.tx_invalid + kernel.no_socket, 0);
    CXPLAT_ROUTE loopback = {
        .RemoteAddress = addr("127.0.0.1", 9), .LocalAddress = addr("127.0.0.1", 0)};
    CXPLAT_SOCKET *client =
        rig_udp_flags(&d.rig, &d.client_in, NULL, &loopback.RemoteAddress, CXPLAT_SOCKET_FLAG_XDP);
    REQUIRE(CHECK(client != NULL));
    loopback.RemoteAddress = addr("127.0.0.2", 9); /* which no interface leads to */
    CHECK_EQ(CxPlatResolveRoute(client, &loopback, 0, NULL, NULL), QUIC_STATUS_SUCCESS);
    CHECK_EQ(counters_now().xdp_no_route - before.xdp_no_route, 1);
    CxPlatSocketDelete(client);
    duo_close_raw(&d);
    CHECK_EQ(xdp_counters_now().redirected, 0);
}

/* The kernel's sockets go on, and no worker is kept busy by an event that does not end. */
TEST(an_interface_that_goes_keeps_nobody_busy)
{
    struct duo d;
    REQUIRE(duo_open_raw(&d, 1, "192.168.1.11"));
    CHECK(wire_close());
    QUIC_ADDR mine = addr("127.0.0.1", 0), to = addr("127.0.0.1", addr_port(&d.address));
    int fd = peer_udp(&mine);
    uint64_t before = counters_now().rx_turns;
    for (unsigned i = 1; i <= 20; i++) {
        CHECK(peer_send(fd, &to, "x", 1));
        CHECK(inbox_wait(&d.server_in, INBOX_DATAGRAMS, i));
    }
    CHECK(counters_now().rx_turns - before < 1000);
    close(fd);
    duo_close(&d);
}

/* XDP is asked about in advance, and never mentioned unasked. */
TEST(raw_is_a_feature_for_those_who_ask)
{
    struct duo d;
    REQUIRE(duo_open_raw(&d, 1, "192.168.1.11"));
    unsigned raw = CXPLAT_DATAPATH_FEATURE_RAW;
    CHECK(CxPlatDataPathGetSupportedFeatures(d.rig.datapath, CXPLAT_SOCKET_FLAG_XDP) & raw);
    CHECK(!(CxPlatDataPathGetSupportedFeatures(d.rig.datapath, CXPLAT_SOCKET_FLAG_NONE) & raw));
    duo_close_raw(&d);
}

CHECK_MAIN(
    CASE(datagrams_of_ipv4),
    CASE(datagrams_of_ipv6),
    CASE(an_answer_goes_back_the_way_it_came),
    CASE(loopback_is_the_kernels),
    CASE(a_deleted_socket_leaves_no_rule),
    CASE(what_goes_by_af_xdp_is_counted),
    CASE(an_interface_that_goes_keeps_nobody_busy),
    CASE(raw_is_a_feature_for_those_who_ask))
